/* What control groups (v1, v2, or both at once) allow this process. */
#ifndef SV_CPU_CGROUP_H
#define SV_CPU_CGROUP_H

#include <stdint.h>

/* *quota_cpus: CPU time over time, so 1.5 is one and a half CPUs; 0 = no limit. *memory_bytes: UINT64_MAX = no limit. Each is
 * the smallest of the process's group and all groups above it that are visible. `root` is put before /proc and /sys. */
void sv_cgroup_limits(const char *root, double *quota_cpus, uint64_t *memory_bytes);

#endif
