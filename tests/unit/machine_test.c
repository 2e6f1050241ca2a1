/* Machines made of files: control groups v1, v2 and both, namespaces, affinity, caches, ARM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>

#include "common/cpu/machine.h"
#include "common/file.h"

static char root[64];

static int make_root(void **state) {
    (void)state;
    snprintf(root, sizeof root, "machine_test.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *facts, int flag, struct FTW *where) {
    (void)facts, (void)flag, (void)where;
    return remove(path);
}

static int remove_root(void **state) {
    (void)state;
    return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes root/path. */
static void put(const char *path, const char *content) {
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    char *slash = strrchr(full, '/');
    *slash = '\0';
    assert_int_equal(sv_make_directories(full, NULL), SENVEC_OK);
    *slash = '/';
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static sv_machine read_machine(size_t affinity) {
    sv_machine m = {.affinity_cpus = affinity};
    sv_machine_read(root, &m);
    return m;
}

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

static void nothing_is_known(void **state) {
    (void)state;
    sv_machine m = read_machine(0);
    assert_int_equal(m.usable_threads, 1);
    assert_string_equal(m.cpu_model, "");
    assert_true(m.quota_cpus == 0);
    assert_int_equal(m.memory_bytes, 0);
    assert_int_equal(sv_machine_read_steal_ns(root), 0);
}

static void v2_quota_in_the_container(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", V2_MOUNT);
    put("/proc/meminfo", "MemTotal:       32000000 kB\n");
    put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/memory.max", "1073741824\n");
    sv_machine m = read_machine(64);
    assert_true(m.quota_cpus == 1.5);
    assert_int_equal(m.usable_threads, 2);
    assert_int_equal(m.memory_bytes, 1073741824);
}

static void v2_smallest_of_the_hierarchy(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/system.slice/app.service/work\n");
    put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" V2_MOUNT);
    put("/proc/meminfo", "MemTotal:       1000 kB\n");
    put("/sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n");
    put("/sys/fs/cgroup/system.slice/app.service/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/system.slice/app.service/memory.max", "max\n");
    put("/sys/fs/cgroup/system.slice/app.service/work/cpu.max", "800000 100000\n");
    sv_machine m = read_machine(16);
    assert_true(m.quota_cpus == 3);
    assert_int_equal(m.usable_threads, 3);
    assert_int_equal(m.memory_bytes, 1000 * 1024);
}

static void affinity_below_the_quota(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", V2_MOUNT);
    put("/sys/fs/cgroup/cpu.max", "800000 100000\n");
    assert_int_equal(read_machine(3).usable_threads, 3);
}

static void a_sliver_of_a_cpu_is_one_thread(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", V2_MOUNT);
    put("/sys/fs/cgroup/cpu.max", "10000 100000\n");
    assert_int_equal(read_machine(4).usable_threads, 1);
}

static void more_cpus_than_threads_allowed(void **state) {
    (void)state;
    assert_int_equal(read_machine(1000).usable_threads, SV_MAX_THREADS);
}

/* v1 without a namespace: the path is the host's, and the mount's root is the container's group. */
static void v1_container_without_namespace(void **state) {
    (void)state;
    put("/proc/self/cgroup", "5:memory:/docker/3f\n4:cpu,cpuacct:/docker/3f/inner\n1:name=systemd:/docker/3f\n");
    put("/proc/self/mountinfo", "40 30 0:30 /docker/3f /sys/fs/cgroup/cpu,cpuacct ro master:15 - cgroup cgroup rw,cpu,cpuacct\n"
                                "41 30 0:31 /docker/3f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    put("/proc/meminfo", "MemTotal:       32000000 kB\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
    sv_machine m = read_machine(8);
    assert_true(m.quota_cpus == 2);
    assert_int_equal(m.memory_bytes, 536870912);
}

/* v1 sets no limit by a number near 2^63; with a v2 hierarchy beside it that has no controllers. */
static void v1_and_v2_without_limits(void **state) {
    (void)state;
    put("/proc/self/cgroup", "4:memory:/a/b\n1:cpu:/\n0::/\n");
    put("/proc/self/mountinfo", "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                                "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    put("/proc/meminfo", "MemTotal:       2000 kB\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
    sv_machine m = read_machine(8);
    assert_true(m.quota_cpus == 0);
    assert_int_equal(m.usable_threads, 8);
    assert_int_equal(m.memory_bytes, 2000 * 1024);
}

/* The process is above its namespace's root, and the mount point has a space. */
static void group_out_of_sight(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/../../other\n");
    put("/proc/self/mountinfo", "30 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n");
    put("/my groups/cpu.max", "200000 100000\n");
    assert_true(read_machine(8).quota_cpus == 2);
}

static void malformed_files(void **state) {
    (void)state;
    put("/proc/self/cgroup", "nonsense\n0:\n0::/\n\n");
    put("/proc/self/mountinfo", "1 2\n30 23 0:26 / /x rw\n30 23 0:26 / /x rw -\n30 23 0:26 / /x rw - cgroup2\n" V2_MOUNT);
    put("/proc/cpuinfo", "processor\nmodel name\n:\n");
    put("/proc/meminfo", "");
    put("/proc/stat", "cpu 1 2\n");
    put("/sys/devices/system/cpu/online", "5-2,,x");
    put("/sys/fs/cgroup/cpu.max", "100000\n");
    put("/sys/fs/cgroup/memory.max", "lots\n");
    sv_machine m = read_machine(2);
    assert_true(m.quota_cpus == 0);
    assert_int_equal(m.usable_threads, 2);
    assert_int_equal(sv_machine_read_steal_ns(root), 0);
}

static void x86_server(void **state) {
    (void)state;
    put("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nsiblings\t: 4\ncpu cores\t: 2\n\n"
                         "processor\t: 1\nmodel name\t: Some CPU @ 2.00GHz\n");
    put("/proc/stat", "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
    put("/sys/devices/system/cpu/online", "0-1,4-5\n");
    put("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,4\n");
    put("/sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,5\n");
    put("/sys/devices/system/cpu/cpu4/topology/thread_siblings_list", "0,4\n");
    put("/sys/devices/system/cpu/cpu5/topology/thread_siblings_list", "1,5\n");
    put("/sys/devices/system/cpu/cpu0/cache/index0/level", "1\n");
    put("/sys/devices/system/cpu/cpu0/cache/index0/type", "Instruction\n");
    put("/sys/devices/system/cpu/cpu0/cache/index0/size", "64K\n");
    put("/sys/devices/system/cpu/cpu0/cache/index1/level", "1\n");
    put("/sys/devices/system/cpu/cpu0/cache/index1/type", "Data\n");
    put("/sys/devices/system/cpu/cpu0/cache/index1/size", "32K\n");
    put("/sys/devices/system/cpu/cpu0/cache/index2/level", "2\n");
    put("/sys/devices/system/cpu/cpu0/cache/index2/type", "Unified\n");
    put("/sys/devices/system/cpu/cpu0/cache/index2/size", "1024K\n");
    put("/sys/devices/system/cpu/cpu0/cache/index3/level", "3\n");
    put("/sys/devices/system/cpu/cpu0/cache/index3/type", "Unified\n");
    put("/sys/devices/system/cpu/cpu0/cache/index3/size", "32M\n");
    put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    put("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    put("/sys/class/dmi/id/product_name", "c7i.metal-24xl\n");
    sv_machine m = read_machine(4);
    assert_string_equal(m.cpu_model, "Some CPU @ 2.00GHz");
    assert_int_equal(m.online_cpus, 4);
    assert_int_equal(m.physical_cores, 2);
    assert_int_equal(m.l1d_bytes, 32 << 10);
    assert_int_equal(m.l2_bytes, 1 << 20);
    assert_int_equal(m.l3_bytes, 32 << 20);
    assert_string_equal(m.governor, "performance");
    assert_string_equal(m.hypervisor, "");
    assert_int_equal(sv_machine_read_steal_ns(root), 80 * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)));
}

static void sysfs_is_hidden(void **state) {
    (void)state;
    put("/proc/cpuinfo",
        "processor\t: 0\nsiblings\t: 4\ncpu cores\t: 2\n\nprocessor\t: 1\n\nprocessor\t: 2\n\nprocessor\t: 3\n");
    sv_machine m = read_machine(4);
    assert_int_equal(m.online_cpus, 4);
    assert_int_equal(m.physical_cores, 2);
}

static void arm_server(void **state) {
    (void)state;
    put("/proc/cpuinfo",
        "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0c\n");
    put("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    put("/sys/class/dmi/id/product_name", "m6g.large\n");
    sv_machine m = read_machine(1);
    assert_string_equal(m.cpu_model, "ARM Neoverse-N1");
    assert_string_equal(m.hypervisor, "KVM (Nitro)");
    put("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xfff\n");
    assert_string_equal(read_machine(1).cpu_model, "ARM implementer 0x41 part 0xfff");
}

static void this_machine(void **state) {
    (void)state;
    sv_machine m;
    sv_machine_describe(&m);
    assert_true(m.usable_threads >= 1);
    assert_true(m.affinity_cpus >= 1);
    assert_int_equal(m.usable_threads, sv_machine_threads());
    print_message("%s, %s, %s, %zu online, %zu cores, affinity %zu, quota %.2f, threads %zu, caches %zu %zu %zu, memory %llu\n",
                  m.cpu_model, m.kernel, m.hypervisor, m.online_cpus, m.physical_cores, m.affinity_cpus, m.quota_cpus,
                  m.usable_threads, m.l1d_bytes, m.l2_bytes, m.l3_bytes, (unsigned long long)m.memory_bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known),
        TEST(v2_quota_in_the_container),
        TEST(v2_smallest_of_the_hierarchy),
        TEST(affinity_below_the_quota),
        TEST(a_sliver_of_a_cpu_is_one_thread),
        TEST(more_cpus_than_threads_allowed),
        TEST(v1_container_without_namespace),
        TEST(v1_and_v2_without_limits),
        TEST(group_out_of_sight),
        TEST(malformed_files),
        TEST(x86_server),
        TEST(sysfs_is_hidden),
        TEST(arm_server),
        cmocka_unit_test(this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
