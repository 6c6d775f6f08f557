/* mailraftd - one member of a cluster as a process.
 *
 * Here, and nowhere below, are arguments, signals and exit statuses. The main thread becomes the server's; a small
 * thread waits for SIGTERM and SIGINT, which every other thread has blocked, and asks the node to stop. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/thread.h"
#include "serve/config.h"
#include "serve/service.h"

static const char USAGE[] =
    "usage: mailraftd [--id N] [--rejoin-empty] [--reach ID=ADDRESS]... CONFIG.json\n"
    "                                                        run a member of a cluster\n"
    "       mailraftd [--id N] --check CONFIG.json           only say whether the config is good\n"
    "       mailraftd --help | --version\n"
    "\n"
    "  --id N              which member this is, whatever the config says: so one file can serve all\n"
    "  --rejoin-empty      lets this member back into a cluster that knows it, though its data_dir is empty or new:\n"
    "                      it has forgotten what it promised, so the others take it out of the cluster first\n"
    "  --reach ID=ADDRESS  reaches member ID there, and not at its peer address: through a tunnel or a relay\n"
    "\n"
    "The state log goes to standard output, one line an event. SIGTERM and SIGINT stop it: a leader hands over first.\n"
    "\n"
    "Exit status: 0 stopped by a signal; 1 could not start or go on; 2 usage or config; 3 data_dir refused (locked,\n"
    "damaged, or of another node or cluster); 4 a write or sync failed, or the disk is full.\n";

enum exit_status {
    STATUS_STOPPED = 0,
    STATUS_FAILED = 1,
    STATUS_CONFIG = 2,
    STATUS_DATA_DIR_REFUSED = 3,
    STATUS_WRITE_FAILED = 4
};

struct options {
    raft_id id; /* 0: as the config says */
    bool check, rejoin_empty, help, version;
    const char *path;
    int reached_count;
    struct reached {
        raft_id id;
        struct address at;
    } reached[MEMBERS_MAX];
};

#define LAST_WORDS_MS 200 /* how long an ending process waits for a reader of its standard error */

/* Writes a line to stderr, unless nobody makes room for it: an end must not wait for a reader. */
static void complain(const char *line)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, LAST_WORDS_MS) > 0 && write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* whom else to tell? */
}

/* The one line on stderr with which a process refuses to start or dies. */
__attribute__((format(printf, 2, 3))) static int die(enum exit_status status, const char *format, ...)
{
    char text[MAILRAFT_ERROR_MESSAGE_MAX + 100];
    char line[sizeof(text) + 20];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ')
            *at = '?'; /* a path may contain a newline */
    snprintf(line, sizeof(line), "mailraftd: %s\n", text);
    complain(line);
    return (int)status;
}

/* Catches what went wrong, narrow before wide. */
static int die_of(const struct mailraft_error *err)
{
    if (err->os_errno == EMFILE || err->os_errno == ENFILE) /* the fault of neither config nor disk */
        return die(STATUS_FAILED, "%s", err->message);
    if (error_is(err, &CONFIG_ERROR))
        return die(STATUS_CONFIG, "%s", err->message);
    if (error_is(err, &LOCKED_ERROR) || error_is(err, &DAMAGED_ERROR))
        return die(STATUS_DATA_DIR_REFUSED, "%s", err->message);
    if (error_is(err, &STORAGE_ERROR))
        return die(STATUS_WRITE_FAILED, "%s", err->message);
    if (error_is(err, &NETWORK_ERROR) || error_is(err, &SERVER_ERROR))
        return die(STATUS_FAILED, "%s", err->message);
    return die(STATUS_FAILED, "Unexpected problem: %s", err->message);
}

/* ---- Arguments ---- */

static bool parse_id(const char *text, raft_id *id)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (text[0] < '1' || text[0] > '9' || *end != '\0' || errno != 0 || number > INT32_MAX)
        return false;
    *id = (raft_id)number;
    return true;
}

/* "ID=HOST:PORT" */
static bool parse_reached(const char *text, struct options *options, struct mailraft_error *err)
{
    char id[12] = "";
    size_t length = strcspn(text, "=");
    if (options->reached_count == MEMBERS_MAX)
        return error_raise(err, &CONFIG_ERROR, "--reach is there more than %d times", MEMBERS_MAX);
    struct reached *reached = &options->reached[options->reached_count];
    if (length < sizeof(id) && text[length] == '=')
        memcpy(id, text, length);
    if (!parse_id(id, &reached->id) || !address_parse(text + length + 1, &reached->at))
        return error_raise(err, &CONFIG_ERROR,
                           "--reach \"%.80s\" is not right; write ID=HOST:PORT, or ID=[IPV6]:PORT", text);
    options->reached_count++;
    return true;
}

/* Beyond all characters, so that optopt tells a short option, of which there are none, from a long one. */
enum { OPTION_ID = 256, OPTION_CHECK, OPTION_REJOIN_EMPTY, OPTION_REACH, OPTION_HELP, OPTION_VERSION };

/* Of several short options in one argument, optind does not say in which argument they are. */
static bool refuse_option(char **arguments, struct mailraft_error *err)
{
    if (optopt >= OPTION_ID)
        return error_raise(err, &CONFIG_ERROR, "%.80s takes no value; see mailraftd --help", arguments[optind - 1]);
    if (optopt != 0)
        return error_raise(err, &CONFIG_ERROR, "-%c is no option; see mailraftd --help", optopt);
    return error_raise(err, &CONFIG_ERROR, "%.80s is no option; see mailraftd --help", arguments[optind - 1]);
}

static bool parse_option(int option, char **arguments, struct options *options, struct mailraft_error *err)
{
    switch (option) {
    case OPTION_ID:
        return parse_id(optarg, &options->id) ||
               error_raise(err, &CONFIG_ERROR, "--id \"%.40s\" is not right; write a whole number from 1 to 2147483647",
                           optarg);
    case OPTION_CHECK:
        options->check = true;
        return true;
    case OPTION_REJOIN_EMPTY:
        options->rejoin_empty = true;
        return true;
    case OPTION_REACH:
        return parse_reached(optarg, options, err);
    case OPTION_HELP:
        options->help = true;
        return true;
    case OPTION_VERSION:
        options->version = true;
        return true;
    case ':':
        return error_raise(err, &CONFIG_ERROR, "%s needs a value; see mailraftd --help", arguments[optind - 1]);
    default:
        return refuse_option(arguments, err);
    }
}

static bool parse_arguments(int count, char **arguments, struct options *options, struct mailraft_error *err)
{
    static const struct option LONG[] = {{"id", required_argument, NULL, OPTION_ID},
                                         {"check", no_argument, NULL, OPTION_CHECK},
                                         {"rejoin-empty", no_argument, NULL, OPTION_REJOIN_EMPTY},
                                         {"reach", required_argument, NULL, OPTION_REACH},
                                         {"help", no_argument, NULL, OPTION_HELP},
                                         {"version", no_argument, NULL, OPTION_VERSION},
                                         {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(count, arguments, ":", LONG, NULL)) != -1)
        if (!parse_option(option, arguments, options, err))
            return false;
    if (options->help || options->version)
        return true;
    if (optind == count)
        return error_raise(err, &CONFIG_ERROR, "which config? see mailraftd --help");
    if (optind < count - 1)
        return error_raise(err, &CONFIG_ERROR, "\"%.80s\" is one config too many; see mailraftd --help",
                           arguments[optind + 1]);
    options->path = arguments[optind];
    return true;
}

/* ---- The process ---- */

/* A standard descriptor that we were started without would become that of the next file opened: lines for people would
 * then be written into what the node must not forget. */
static bool fill_standard_descriptors(struct mailraft_error *err)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return error_raise_os(err, &SERVER_ERROR, "Couldn't open /dev/null in the place of descriptor %d", fd);
    return true;
}

static struct log *aborting_log; /* for the handler of SIGABRT alone */

/* A failed assert: what led to it must be read before the process is gone. */
static void on_abort(int signal)
{
    (void)signal;
    if (aborting_log != NULL) /* NULL before it is open */
        log_drain(aborting_log);
}

struct stopper {
    struct node *node;
    atomic_bool ended; /* the node has stopped: the next signal ends the thread */
};

static void stop_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
}

static void stopper_main(void *context)
{
    struct stopper *stopper = context;
    sigset_t signals;
    int signal;
    stop_signals(&signals);
    while (sigwait(&signals, &signal) == 0 && !stopper->ended)
        node_stop(stopper->node);
}

/* Blocks the signals that stop us, before any thread is started: all of them inherit that. */
static void prepare_signals(void)
{
    sigset_t signals;
    stop_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    /* Once: the second SIGABRT, which abort() raises after the handler, ends the process. */
    sigaction(SIGABRT, &(struct sigaction){.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND}, NULL);
}

/* Connections are files: as many as we may have. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Runs the node until it stops, with a thread that hears the signals. */
static bool run_node(struct node *node, struct mailraft_error *err)
{
    struct stopper stopper = {.node = node};
    struct thread thread;
    if (!thread_start(&thread, "signals", stopper_main, &stopper, err))
        return false;
    bool good = node_run(node, err);
    stopper.ended = true;
    kill(getpid(), SIGTERM); /* every other thread has it blocked: it wakes the stopper */
    thread_join(&thread);
    return good;
}

/* Runs the node with what it serves. *stuck: a thread was left behind, and may still use the service and the log. */
static bool run_service(struct config *config, struct log *log, bool *stuck, struct mailraft_error *err)
{
    struct service *service = service_new(&config->service);
    config->node.machine = service_machine(service);
    config->node.watcher = service_pile(service);
    struct node *node = node_new(&config->node, log);
    bool good = service_start(service, node, log, err) && run_node(node, err);
    service_stop(service);
    *stuck = node_is_stuck(node);
    node_free(node);
    if (!*stuck)
        service_free(service);
    return good;
}

static bool run(struct config *config, struct mailraft_error *err)
{
    struct log *log = log_open(STDOUT_FILENO, config->node.id, config->log_level, err);
    if (log == NULL)
        return false;
    aborting_log = log;
    bool stuck;
    bool good = run_service(config, log, &stuck, err);
    sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    if (stuck)
        log_drain(log);
    else
        log_close(log);
    return good;
}

/* Where members are reached whose addresses are others for this node. reach: by position; lasts as long as the node. */
static bool redirect(struct config *config, const struct options *options, struct address reach[MEMBERS_MAX],
                     struct mailraft_error *err)
{
    for (int i = 0; i < options->reached_count; i++) {
        const struct reached *reached = &options->reached[i];
        int position = members_find(&config->node.members, reached->id);
        if (position < 0 || reached->id == config->node.id)
            return error_raise(err, &CONFIG_ERROR, "--reach names %d, which is no other member of the cluster",
                               reached->id);
        if (reach[position].port != 0)
            return error_raise(err, &CONFIG_ERROR, "--reach names %d twice", reached->id);
        reach[position] = reached->at;
    }
    config->node.reach = reach;
    return true;
}

/* What the config cannot say: who we are as a process, and what its operator decided for this start alone. */
static void complete_config(struct config *config, const struct options *options)
{
    char real[PATH_MAX];
    const char *path = options->path;
    config->node.rejoin_empty = options->rejoin_empty;
    config->node.pid = config->service.sessions.pid = getpid();
    snprintf(config->node.about, sizeof(config->node.about), "version=%s pid=%d config=\"%s\"", MAILRAFT_VERSION,
             getpid(), realpath(path, real) != NULL ? real : path);
    if (config_peers_exposed(config))
        config->node.warning = "What peers say to each other is neither encrypted nor authenticated: let only trusted "
                               "machines reach their addresses";
}

/* The status after an answer on stdout: whoever asked must not take a lost one for a good one. */
static int end_of_answer(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return STATUS_STOPPED;
    return die(STATUS_FAILED, "Couldn't write to standard output: %s", strerror(errno));
}

/* One line with what the config comes to; the folder last, since it may contain spaces. bin/cluster reads it. */
static int check(const struct config *config, const char *path)
{
    const struct members *members = &config->node.members;
    const struct member *self = &members->list[members_find(members, config->node.id)];
    char peer[ADDRESS_TEXT_MAX], client[ADDRESS_TEXT_MAX] = "none";
    if (self->client.port != 0)
        address_format(&self->client, client, sizeof(client));
    printf("%s: good id=%d cluster=%s members=%d peer=%s client=%s data_dir=%s\n", path, config->node.id,
           config->node.cluster_name, members->count, address_format(&self->peer, peer, sizeof(peer)), client,
           config->node.data_dir);
    return end_of_answer();
}

int main(int count, char **arguments)
{
    static struct config config; /* too large for a small stack */
    static struct options options;
    static struct address reach[MEMBERS_MAX];
    struct mailraft_error err = {0};
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL); /* before the first line that may meet it */
    if (!fill_standard_descriptors(&err) || !parse_arguments(count, arguments, &options, &err))
        return die_of(&err);
    if (options.help || options.version) {
        fputs(options.help ? USAGE : "mailraftd " MAILRAFT_VERSION "\n", stdout);
        return end_of_answer();
    }
    if (!config_read(options.path, options.id, &config, &err) || !redirect(&config, &options, reach, &err))
        return die_of(&err);
    if (options.check)
        return check(&config, options.path);
    complete_config(&config, &options);
    prepare_signals();
    raise_file_limit();
    return run(&config, &err) ? STATUS_STOPPED : die_of(&err);
}
