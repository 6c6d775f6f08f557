/* sandbox.h - namespaces of our own for networks, mounts and processes, so that whatever is made in them is gone when
 * this program is, however it ends.
 *
 * The program becomes three processes. The first waits, and removes what has to be removed outside. The second is the
 * first of the new namespace of processes: when it ends, or the first one does, the kernel ends all others in there.
 * The third one goes on. Where we are not root, a namespace of users makes us so inside. */
#ifndef CHAOS_SANDBOX_H
#define CHAOS_SANDBOX_H

#define SANDBOX_NETWORKS_MAX 8
#define SANDBOX_FOLDER_MAX   64

struct sandbox {
    int networks[SANDBOX_NETWORKS_MAX]; /* namespaces: 0 is ours; the others are empty, and nobody is in them */
    char *folder; /* of SANDBOX_FOLDER_MAX bytes: put the path of a folder there that is to be removed at the end */
};

/* Returns in the third process. Where something is not permitted, it says so and ends all with status 0. */
void sandbox_enter(struct sandbox *sandbox, int networks);

/* From here on we are in that one of its networks: what is opened or started comes to be there. */
void sandbox_go_to(const struct sandbox *sandbox, int network);

#endif
