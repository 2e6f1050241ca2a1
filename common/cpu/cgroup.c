/* Control groups. A process's limits lie in files of its group and of every group above it; the smallest counts.
 *
 * /proc/self/cgroup has a line a hierarchy, "ID:CONTROLLERS:PATH": the v2 hierarchy has no controllers ("0::/user.slice"), a v1
 * hierarchy lists its own ("4:cpu,cpuacct:/docker/3f"). /proc/self/mountinfo says where a hierarchy is mounted, and which of
 * its groups is the root of that mount. A container without a cgroup namespace sees PATH and that root from the host's view
 * ("/docker/3f" for both), so the root is cut off PATH. With a namespace PATH may begin with "/.." (the group is above what
 * can be seen), and then the mount's root is the nearest group there is.
 *
 * Formats: Linux Documentation/admin-guide/cgroup-v1, cgroup-v2.rst and filesystems/proc.rst. */
#include "common/cpu/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"

typedef struct limits {
    double quota_cpus;
    uint64_t memory_bytes;
} limits;

/* Appends to a path; a path that doesn't fit becomes "", which can't be opened. */
static void append(char path[SV_MAX_PATH], const char *part, size_t length) {
    size_t used = strlen(path);
    if (used + length >= SV_MAX_PATH) {
        path[0] = '\0';
        return;
    }
    memcpy(path + used, part, length);
    path[used + length] = '\0';
}

/* First line of group/name. */
static bool read_line(const char *group, const char *name, char *line, size_t size) {
    char path[SV_MAX_PATH];
    int length = snprintf(path, sizeof path, "%s/%s", group, name);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!file)
        return false;
    bool found = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return found;
}

static void limit_quota(limits *l, double quota, double period) {
    if (quota > 0 && period > 0 && (l->quota_cpus == 0 || quota / period < l->quota_cpus))
        l->quota_cpus = quota / period;
}

static void limit_memory(limits *l, const char *line) {
    char *end;
    uint64_t bytes = strtoull(line, &end, 10);
    if (end != line && bytes < l->memory_bytes)
        l->memory_bytes = bytes;
}

/* The limits that one group sets. An absent file, "max" (v2) and -1 (v1) are no limit. */
static void read_group(const char *group, limits *l) {
    char line[64], period_line[64];
    double quota, period;
    if (read_line(group, "cpu.max", line, sizeof line) && sscanf(line, "%lf %lf", &quota, &period) == 2)
        limit_quota(l, quota, period);
    if (read_line(group, "cpu.cfs_quota_us", line, sizeof line) &&
        read_line(group, "cpu.cfs_period_us", period_line, sizeof period_line))
        limit_quota(l, strtod(line, NULL), strtod(period_line, NULL));
    if (read_line(group, "memory.max", line, sizeof line) || read_line(group, "memory.limit_in_bytes", line, sizeof line))
        limit_memory(l, line);
}

/* Is `word` one of the comma-separated words of `list`? */
static bool has_word(const char *list, const char *word, size_t length) {
    for (const char *at = list; *at; at += *at == ',') {
        size_t size = strcspn(at, ",");
        if (size == length && strncmp(at, word, length) == 0)
            return true;
        at += size;
    }
    return false;
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] && from[2] && from[3]) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Cuts a mountinfo line, "36 35 98:0 ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPEROPTIONS", in place. */
static bool parse_mount(char *line, char **root, char **point, char **type, char **super_options) {
    char *rest = line, *fields[6];
    for (int i = 0; i < 6; i++)
        if (!(fields[i] = strsep(&rest, " ")))
            return false;
    if (rest && strncmp(rest, "- ", 2) != 0)
        rest = strstr(rest, " - ");
    if (!rest)
        return false;
    rest = strstr(rest, "- ") + 2;
    *type = strsep(&rest, " ");
    strsep(&rest, " ");
    *super_options = strsep(&rest, " \n");
    *root = fields[3];
    *point = fields[4];
    if (!*super_options)
        return false;
    unescape(*root);
    unescape(*point);
    return true;
}

/* The directory of group `path` of the hierarchy that has `controller` ("" for v2), and the length of the part above which the
 * walk up must not go. False where the hierarchy isn't mounted. */
static bool find_group(const char *root, const char *controller, const char *path, char out[SV_MAX_PATH], size_t *top) {
    char name[SV_MAX_PATH];
    int length = snprintf(name, sizeof name, "%s/proc/self/mountinfo", root);
    FILE *file = length > 0 && (size_t)length < sizeof name ? fopen(name, "re") : NULL;
    if (!file)
        return false;
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;
    while (!found && getline(&line, &capacity, file) > 0) {
        char *mount_root, *point, *type, *super_options;
        if (!parse_mount(line, &mount_root, &point, &type, &super_options))
            continue;
        found = *controller ? strcmp(type, "cgroup") == 0 && has_word(super_options, controller, strlen(controller))
                            : strcmp(type, "cgroup2") == 0;
        if (!found)
            continue;
        out[0] = '\0';
        append(out, root, strlen(root));
        append(out, point, strlen(point));
        *top = strlen(out);
        size_t above = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
        bool visible = strncmp(path, "/..", 3) != 0 && strncmp(path, mount_root, above) == 0 &&
                       (path[above] == '/' || path[above] == '\0');
        if (visible && strcmp(path + above, "/") != 0)
            append(out, path + above, strlen(path + above));
    }
    free(line);
    fclose(file);
    return found;
}

/* Reads the limits of a hierarchy from the process's group up to the top. */
static void read_hierarchy(const char *root, const char *controller, const char *path, limits *l) {
    char group[SV_MAX_PATH];
    size_t top;
    if (!find_group(root, controller, path, group, &top))
        return;
    for (;;) {
        read_group(group, l);
        char *slash = strrchr(group, '/');
        if (!slash || (size_t)(slash - group) < top)
            return;
        *slash = '\0';
    }
}

void sv_cgroup_limits(const char *root, double *quota_cpus, uint64_t *memory_bytes) {
    limits l = {0, UINT64_MAX};
    char name[SV_MAX_PATH];
    int length = snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
    FILE *file = length > 0 && (size_t)length < sizeof name ? fopen(name, "re") : NULL;
    char *line = NULL;
    size_t capacity = 0;
    while (file && getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *rest = line;
        strsep(&rest, ":");
        char *controllers = strsep(&rest, ":");
        if (!rest)
            continue;
        if (*controllers == '\0')
            read_hierarchy(root, "", rest, &l);
        if (has_word(controllers, "cpu", 3))
            read_hierarchy(root, "cpu", rest, &l);
        if (has_word(controllers, "memory", 6))
            read_hierarchy(root, "memory", rest, &l);
    }
    free(line);
    if (file)
        fclose(file);
    *quota_cpus = l.quota_cpus;
    *memory_bytes = l.memory_bytes;
}
