#include "base/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A small file of /proc or /sys; its length is not known before it is read. */
static bool read_small(char *out, size_t out_size, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t used = 0;
    ssize_t got;
    while (used < out_size - 1 && (got = read(fd, out + used, out_size - 1 - used)) > 0) used += (size_t)got;
    close(fd);
    out[used] = '\0';
    return used > 0;
}

static bool read_in(char *out, size_t out_size, const char *folder, const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && read_small(out, out_size, path);
}

static void take_memory(struct dio_cgroup *limits, const char *text)
{
    char *end;
    unsigned long long bytes = strtoull(text, &end, 10);
    if (end != text && bytes > 0 && bytes < limits->memory) limits->memory = bytes;
}

static void take_quota(struct dio_cgroup *limits, long long quota, long long period)
{
    if (quota <= 0 || period <= 0) return;
    double cpus = (double)quota / (double)period;
    if (limits->cpus <= 0 || cpus < limits->cpus) limits->cpus = cpus;
}

static void read_v2(struct dio_cgroup *limits, const char *folder)
{
    char text[128];
    long long quota, period;
    if (read_in(text, sizeof text, folder, "cpu.max") && sscanf(text, "%lld %lld", &quota, &period) == 2) {
        take_quota(limits, quota, period);
    }
    if (read_in(text, sizeof text, folder, "memory.max")) take_memory(limits, text);
}

static void read_v1_cpu(struct dio_cgroup *limits, const char *folder)
{
    char quota[64], period[64];
    if (read_in(quota, sizeof quota, folder, "cpu.cfs_quota_us") && read_in(period, sizeof period, folder, "cpu.cfs_period_us")) {
        take_quota(limits, strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
    }
}

static void read_v1_memory(struct dio_cgroup *limits, const char *folder)
{
    char text[64];
    if (read_in(text, sizeof text, folder, "memory.limit_in_bytes")) take_memory(limits, text);
}

/* The group's folder and those above it, up to the mount: a parent's limit binds as well. */
static void walk_up(struct dio_cgroup *limits, const char *mount, const char *group,
                    void (*visit)(struct dio_cgroup *, const char *))
{
    char folder[PATH_MAX];
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (length < 0 || (size_t)length >= sizeof folder) return;
    size_t mount_length = strlen(mount);
    for (;;) {
        visit(limits, folder);
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= mount_length || !slash) return;
        *slash = '\0';
    }
}

static bool names_controller(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at += length) {
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) return true;
    }
    return false;
}

struct dio_cgroup dio_cgroup_read(const char *root)
{
    struct dio_cgroup limits = {0, UINT64_MAX};
    char path[512], mount[512], text[8192];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!read_small(text, sizeof text, path)) return limits;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        if (strcmp(group, "/") == 0) group = (char *)"";
        if (*controllers == '\0') {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
            walk_up(&limits, mount, group, read_v2);
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/unified", root);
            walk_up(&limits, mount, group, read_v2);
        }
        if (names_controller(controllers, "cpu")) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
            walk_up(&limits, mount, group, read_v1_cpu);
        }
        if (names_controller(controllers, "memory")) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/memory", root);
            walk_up(&limits, mount, group, read_v1_memory);
        }
    }
    return limits;
}
