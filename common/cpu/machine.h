/* The machine that this process may use: threads by quota and affinity, caches, model name. Linux; every fact that can't be
 * found is 0 or "". */
#ifndef SV_CPU_MACHINE_H
#define SV_CPU_MACHINE_H

#include <stddef.h>
#include <stdint.h>

typedef struct sv_machine {
    char cpu_model[128];                  /* /proc/cpuinfo "model name", on ARM the name of implementer and part */
    char kernel[128];                     /* uname: "Linux 6.1.0 x86_64" */
    char hypervisor[64];                  /* "KVM", "" on bare metal */
    char governor[32];                    /* cpufreq governor, "" unknown */
    size_t online_cpus;                   /* CPUs of the host that are visible */
    size_t physical_cores;                /* physical cores among them */
    size_t affinity_cpus;                 /* in this thread's affinity mask (cpusets included) */
    double quota_cpus;                    /* cgroup v1 or v2 CPU quota in CPUs, the smallest of the hierarchy; 0 = none */
    size_t usable_threads;                /* what senvec uses by default: min(affinity, ceil(quota)), 1 .. SV_MAX_THREADS */
    size_t l1d_bytes, l2_bytes, l3_bytes; /* of CPU 0 */
    uint64_t memory_bytes;                /* physical, or the cgroup's limit where that is smaller */
} sv_machine;

void sv_machine_describe(sv_machine *out);

/* The member usable_threads alone, which is cheap to find. */
size_t sv_machine_threads(void);

/* CPU time stolen by the hypervisor since boot, in nanoseconds, over all CPUs (/proc/stat); 0 unknown. */
uint64_t sv_machine_steal_ns(void);

/* The same facts read from the /proc and /sys under `root` ("" for this machine's own), so that a test can describe another
 * machine. sv_machine_read fills in what comes from files and keeps what the caller found by system calls: kernel,
 * affinity_cpus, and hypervisor unless it is "". */
void sv_machine_read(const char *root, sv_machine *machine);
uint64_t sv_machine_read_steal_ns(const char *root);

#endif
