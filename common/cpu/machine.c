/* The machine, from /proc, /sys and a few system calls. No library: what is needed is a dozen small files, and hwloc would
 * bring a topology model for it.
 *
 * Threads are counted by what the process may use, not by what the host has: a container with a quota of 2 CPUs on a host of 64
 * that starts 64 threads spends its quota at once and then stands still until the next period. A quota that isn't whole is
 * rounded up: 1.5 CPUs are used best by 2 threads. */
#include "common/cpu/machine.h"

#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "common/clock.h"
#include "common/cpu/cgroup.h"
#include "common/limits.h"

/* ------------------------------------------------------------------------------------------------------------ small files */

/* root/name, formatted. NULL if it can't be opened. */
__attribute__((format(printf, 2, 3))) static FILE *open_file(const char *root, const char *format, ...) {
    char path[SV_MAX_PATH];
    int used = snprintf(path, sizeof path, "%s", root);
    if (used < 0 || (size_t)used >= sizeof path)
        return NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path + used, sizeof path - (size_t)used, format, arguments);
    va_end(arguments);
    return length > 0 && (size_t)length < sizeof path - (size_t)used ? fopen(path, "re") : NULL;
}

/* The first line of a file, without its newline; "" if there is none. Closes the file; NULL is accepted. */
static void first_line(FILE *file, char *line, size_t size) {
    if (!file || !fgets(line, (int)size, file))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (file)
        fclose(file);
}

/* "key : value" where the line's key is `key`; else NULL. */
static const char *value_of(const char *line, const char *key) {
    size_t length = strlen(key);
    if (strncmp(line, key, length) != 0)
        return NULL;
    line += length + strspn(line + length, " \t");
    return *line == ':' ? line + 1 + strspn(line + 1, " \t") : NULL;
}

/* CPUs in a list like "0-3,8,10-11". */
static size_t count_list(const char *list) {
    size_t count = 0;
    unsigned first, last;
    for (const char *at = list; *at; at += *at == ',') {
        int fields = sscanf(at, "%u-%u", &first, &last);
        if (fields < 1)
            break;
        count += fields == 1 ? 1 : last >= first ? (size_t)(last - first) + 1 : 0;
        at += strcspn(at, ",");
    }
    return count;
}

/* ------------------------------------------------------------------------------------------------------------ CPU name */

/* MIDR implementer and part of the cores that servers and boards have; the kernel leaves the naming to user space. Source: the
 * table of util-linux' lscpu and Arm's core manuals. */
static const struct {
    unsigned implementer, part;
    const char *name;
} arm_cores[] = {
    {0x41, 0xd03, "ARM Cortex-A53"},        {0x41, 0xd05, "ARM Cortex-A55"},  {0x41, 0xd07, "ARM Cortex-A57"},
    {0x41, 0xd08, "ARM Cortex-A72"},        {0x41, 0xd09, "ARM Cortex-A73"},  {0x41, 0xd0a, "ARM Cortex-A75"},
    {0x41, 0xd0b, "ARM Cortex-A76"},        {0x41, 0xd0c, "ARM Neoverse-N1"}, {0x41, 0xd40, "ARM Neoverse-V1"},
    {0x41, 0xd49, "ARM Neoverse-N2"},       {0x41, 0xd4f, "ARM Neoverse-V2"}, {0x41, 0xd83, "ARM Neoverse-V3AE"},
    {0x41, 0xd84, "ARM Neoverse-V3"},       {0x41, 0xd8e, "ARM Neoverse-N3"}, {0x46, 0x001, "Fujitsu A64FX"},
    {0x48, 0xd01, "HiSilicon Kunpeng-920"}, {0xc0, 0xac3, "Ampere-1"},        {0xc0, 0xac4, "Ampere-1a"},
};

static void name_arm_core(unsigned implementer, unsigned part, char *out, size_t size) {
    for (size_t i = 0; i < sizeof arm_cores / sizeof *arm_cores; i++)
        if (arm_cores[i].implementer == implementer && arm_cores[i].part == part) {
            snprintf(out, size, "%s", arm_cores[i].name);
            return;
        }
    snprintf(out, size, "ARM implementer 0x%02x part 0x%03x", implementer, part);
}

/* From /proc/cpuinfo: the model's name; and the number of CPUs, cores a package and CPUs a package, for want of sysfs. */
static void read_cpuinfo(const char *root, sv_machine *m) {
    FILE *file = open_file(root, "/proc/cpuinfo");
    if (!file)
        return;
    char *line = NULL;
    size_t capacity = 0, processors = 0, cores = 0, siblings = 0;
    unsigned implementer = 0, part = 0;
    while (getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        const char *value;
        if (value_of(line, "processor"))
            processors++;
        else if ((value = value_of(line, "model name")) && !m->cpu_model[0])
            snprintf(m->cpu_model, sizeof m->cpu_model, "%s", value);
        else if ((value = value_of(line, "cpu cores")))
            cores = strtoul(value, NULL, 10);
        else if ((value = value_of(line, "siblings")))
            siblings = strtoul(value, NULL, 10);
        else if ((value = value_of(line, "CPU implementer")))
            implementer = (unsigned)strtoul(value, NULL, 16);
        else if ((value = value_of(line, "CPU part")))
            part = (unsigned)strtoul(value, NULL, 16);
    }
    free(line);
    fclose(file);
    if (!m->cpu_model[0] && implementer)
        name_arm_core(implementer, part, m->cpu_model, sizeof m->cpu_model);
    if (!m->online_cpus)
        m->online_cpus = processors;
    if (!m->physical_cores && siblings)
        m->physical_cores = m->online_cpus * cores / siblings;
}

/* ------------------------------------------------------------------------------------------------------------ topology */

/* A core is counted at the first of its hardware threads. CPU numbers may have gaps where CPUs are offline. */
static void read_topology(const char *root, sv_machine *m) {
    char list[4096];
    first_line(open_file(root, "/sys/devices/system/cpu/online"), list, sizeof list);
    m->online_cpus = count_list(list);
    unsigned first, last;
    for (const char *at = list; *at; at += *at == ',') {
        int fields = sscanf(at, "%u-%u", &first, &last);
        if (fields < 1)
            break;
        if (fields == 1)
            last = first;
        for (unsigned cpu = first; cpu <= last && cpu < CPU_SETSIZE * 8; cpu++) {
            char siblings[256];
            first_line(open_file(root, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu), siblings,
                       sizeof siblings);
            m->physical_cores += siblings[0] && strtoul(siblings, NULL, 10) == cpu;
        }
        at += strcspn(at, ",");
    }
}

/* "48K", "1024K", "32M" */
static size_t parse_size(const char *text) {
    char *unit;
    size_t value = strtoul(text, &unit, 10);
    return *unit == 'K' ? value << 10 : *unit == 'M' ? value << 20 : *unit == 'G' ? value << 30 : value;
}

static void read_caches(const char *root, sv_machine *m) {
    for (int index = 0; index < 16; index++) {
        char level[16], type[32], size[32];
        first_line(open_file(root, "/sys/devices/system/cpu/cpu0/cache/index%d/level", index), level, sizeof level);
        first_line(open_file(root, "/sys/devices/system/cpu/cpu0/cache/index%d/type", index), type, sizeof type);
        first_line(open_file(root, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index), size, sizeof size);
        if (!level[0])
            return;
        if (strcmp(type, "Instruction") == 0)
            continue;
        size_t bytes = parse_size(size);
        if (level[0] == '1')
            m->l1d_bytes = bytes;
        else if (level[0] == '2')
            m->l2_bytes = bytes;
        else if (level[0] == '3')
            m->l3_bytes = bytes;
    }
}

/* ------------------------------------------------------------------------------------------------------------ hypervisor */

/* For CPUs that can't be asked: the firmware's tables name the machine's maker. */
static void read_hypervisor(const char *root, sv_machine *m) {
    static const struct {
        const char *vendor, *product, *name; /* product "": any */
    } machines[] = {
        {"QEMU", "", "KVM"},
        {"Amazon EC2", "", "KVM (Nitro)"},
        {"Google", "Google Compute Engine", "KVM"},
        {"VMware", "", "VMware"},
        {"innotek GmbH", "", "VirtualBox"},
        {"Xen", "", "Xen"},
        {"OpenStack", "", "KVM"},
        {"Microsoft Corporation", "Virtual Machine", "Hyper-V"},
    };
    if (m->hypervisor[0])
        return;
    char vendor[64], product[64];
    first_line(open_file(root, "/sys/class/dmi/id/sys_vendor"), vendor, sizeof vendor);
    first_line(open_file(root, "/sys/class/dmi/id/product_name"), product, sizeof product);
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        if (strncmp(vendor, machines[i].vendor, strlen(machines[i].vendor)) == 0 &&
            strncmp(product, machines[i].product, strlen(machines[i].product)) == 0 && !strstr(product, ".metal")) {
            snprintf(m->hypervisor, sizeof m->hypervisor, "%s", machines[i].name);
            return;
        }
}

/* x86 hypervisors sign at CPUID leaf 0x40000000. */
static void ask_hypervisor(sv_machine *m) {
#if defined(__x86_64__)
    static const struct {
        const char *signature, *name;
    } known[] = {
        {"KVMKVMKVM", "KVM"},
        {"Microsoft Hv", "Hyper-V"},
        {"VMwareVMware", "VMware"},
        {"XenVMMXenVMM", "Xen"},
        {"TCGTCGTCGTCG", "QEMU (emulated)"},
        {"VBoxVBoxVBox", "VirtualBox"},
        {"bhyve bhyve ", "bhyve"},
        {"ACRNACRNACRN", "ACRN"},
    };
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 31)))
        return;
    __cpuid(0x40000000, eax, ebx, ecx, edx);
    char signature[13] = {0};
    memcpy(signature, &ebx, 4);
    memcpy(signature + 4, &ecx, 4);
    memcpy(signature + 8, &edx, 4);
    const char *name = signature[0] ? signature : "unknown";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(signature, known[i].signature) == 0)
            name = known[i].name;
    snprintf(m->hypervisor, sizeof m->hypervisor, "%s", name);
#else
    (void)m;
#endif
}

/* ------------------------------------------------------------------------------------------------------------ threads */

/* 0 if the system won't tell. The mask is grown until the kernel's fits. */
static size_t affinity_cpus(void) {
    for (int cpus = CPU_SETSIZE; cpus <= CPU_SETSIZE * 64; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set)
            return 0;
        size_t size = CPU_ALLOC_SIZE(cpus);
        bool found = sched_getaffinity(0, size, set) == 0;
        size_t count = found ? (size_t)CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (found)
            return count;
    }
    return 0;
}

static size_t usable_threads(size_t affinity, double quota) {
    size_t threads = affinity ? affinity : 1;
    if (threads > SV_MAX_THREADS)
        threads = SV_MAX_THREADS;
    if (quota > 0 && ceil(quota) < (double)threads)
        threads = (size_t)ceil(quota);
    return threads;
}

size_t sv_machine_threads(void) {
    double quota;
    uint64_t memory;
    sv_cgroup_limits("", &quota, &memory);
    return usable_threads(affinity_cpus(), quota);
}

/* ------------------------------------------------------------------------------------------------------------ all of it */

static uint64_t read_physical_memory(const char *root) {
    char line[128];
    first_line(open_file(root, "/proc/meminfo"), line, sizeof line);
    const char *value = value_of(line, "MemTotal");
    return value ? strtoull(value, NULL, 10) << 10 : 0;
}

void sv_machine_read(const char *root, sv_machine *m) {
    read_topology(root, m);
    read_cpuinfo(root, m);
    read_caches(root, m);
    read_hypervisor(root, m);
    first_line(open_file(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"), m->governor, sizeof m->governor);
    uint64_t limit;
    sv_cgroup_limits(root, &m->quota_cpus, &limit);
    m->memory_bytes = read_physical_memory(root);
    if (limit < m->memory_bytes)
        m->memory_bytes = limit;
    m->usable_threads = usable_threads(m->affinity_cpus, m->quota_cpus);
}

/* A sandbox may hide sysfs; the C library can ask the CPU itself. */
static size_t cache_or_sysconf(size_t bytes, int name) {
    long value = bytes ? 0 : sysconf(name);
    return value > 0 ? (size_t)value : bytes;
}

void sv_machine_describe(sv_machine *out) {
    *out = (sv_machine){0};
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(out->kernel, sizeof out->kernel, "%.20s %.60s %.30s", name.sysname, name.release, name.machine);
    out->affinity_cpus = affinity_cpus();
    ask_hypervisor(out);
    sv_machine_read("", out);
    out->l1d_bytes = cache_or_sysconf(out->l1d_bytes, _SC_LEVEL1_DCACHE_SIZE);
    out->l2_bytes = cache_or_sysconf(out->l2_bytes, _SC_LEVEL2_CACHE_SIZE);
    out->l3_bytes = cache_or_sysconf(out->l3_bytes, _SC_LEVEL3_CACHE_SIZE);
}

uint64_t sv_machine_read_steal_ns(const char *root) {
    char line[512];
    first_line(open_file(root, "/proc/stat"), line, sizeof line);
    unsigned long long steal; /* user nice system idle iowait irq softirq steal, in clock ticks */
    long ticks = sysconf(_SC_CLK_TCK);
    if (sscanf(line, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &steal) != 1 || ticks <= 0)
        return 0;
    return steal * (SV_NS_PER_S / (uint64_t)ticks);
}

uint64_t sv_machine_steal_ns(void) {
    return sv_machine_read_steal_ns("");
}
