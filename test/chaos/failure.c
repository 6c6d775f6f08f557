#include "chaos/failure.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chaos/chaos.h"
#include "chaos/tool.h"
#include "check.h"

#define PATH_MAX_HERE 512

static struct chaos *kept; /* the one run of this process */
static const char *kept_folder;

void failure_keep(struct chaos *chaos, const char *folder)
{
    kept = chaos;
    kept_folder = folder;
}

static FILE *create(const char *folder, const char *name)
{
    char path[PATH_MAX_HERE + 40];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        perror(path);
    return file;
}

static void keep_text(const char *folder, const char *name, const char *text)
{
    FILE *file = create(folder, name);
    if (file == NULL)
        return;
    fputs(text != NULL ? text : "", file);
    fclose(file);
}

static void keep_node(const char *folder, const struct node *node)
{
    char name[40];
    snprintf(name, sizeof(name), "node%d.log", node->id);
    keep_text(folder, name, node->process.printed[0].text);
    snprintf(name, sizeof(name), "node%d.err", node->id);
    keep_text(folder, name, node->process.printed[1].text);
}

static void keep_history(const char *folder, struct crowd *crowd)
{
    FILE *file = create(folder, "history");
    crowd_rest(crowd);
    if (file == NULL)
        return;
    crowd_write_history(crowd, file);
    fclose(file);
}

static void keep_all(struct chaos *chaos)
{
    char folder[PATH_MAX_HERE];
    snprintf(folder, sizeof(folder), "%s/seed-%" PRIu64, kept_folder, chaos->seed);
    if (!TOOL(-1, NULL, "mkdir", "-p", folder))
        return;
    fprintf(stderr, "chaos: what there is to look at is in %s\n", folder);
    if (chaos->story != NULL && fflush(chaos->story) == 0)
        keep_text(folder, "story", chaos->story_text);
    if (chaos->cluster != NULL) {
        for (int i = 0; i < chaos->count; i++)
            keep_node(folder, &chaos->cluster->nodes[i]);
        TOOL(-1, NULL, "cp", "-r", chaos->cluster->folder, folder);
    }
    if (chaos->crowd != NULL)
        keep_history(folder, chaos->crowd);
}

void check_fail(bool fatal, const char *file, int line, const char *what, const char *format, ...)
{
    static bool failing;
    va_list values;
    (void)fatal;
    fprintf(stderr, "chaos: %s:%d: does not hold: %s\n", file, line, what);
    va_start(values, format);
    fputs("chaos: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    if (kept != NULL && !failing) {
        failing = true; /* what fails while it is kept is not kept */
        fprintf(stderr, "chaos: seed %" PRIu64 " failed\n", kept->seed);
        keep_all(kept);
    }
    _exit(EXIT_FAILURE);
}

bool check_same_text(const char *left, const char *right)
{
    return strcmp(left, right) == 0;
}
