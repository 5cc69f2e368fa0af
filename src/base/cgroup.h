/* Limits that control groups (v1 or v2) put on this process. */
#ifndef DIO_BASE_CGROUP_H
#define DIO_BASE_CGROUP_H

#include <stdint.h>

struct dio_cgroup {
    double cpus;     /* CPU quota in CPUs; 0: none */
    uint64_t memory; /* bytes; UINT64_MAX: none */
};

/* `root` stands before /proc and /sys ("" for the real ones); the least limit from the process's group up counts. */
struct dio_cgroup dio_cgroup_read(const char *root);

#endif
