/* port.h - a port of this machine that is held for whoever will listen on it, also while that one is down. */
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

struct port {
    int holder; /* a bound socket that does not listen */
    int number; /* below those that the kernel gives out by itself */
};

void port_hold(struct port *port);
void port_release(struct port *port);

#endif
