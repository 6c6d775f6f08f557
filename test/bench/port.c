#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "bench.h"

/* Bound without SO_REUSEADDR, so that nobody else can hold it; with it afterwards, so that others can listen. */
void port_hold(struct port *port)
{
    for (int tries = 0; tries < 1000; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int number = (int)random_between(10000, 30000);
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        if (fd < 0)
            bench_die("Couldn't open a socket: %s", strerror(errno));
        if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
            *port = (struct port){fd, number};
            return;
        }
        close(fd);
    }
    bench_die("Couldn't find a free port between 10000 and 30000");
}

void port_release(struct port *port)
{
    close(port->holder);
}
