/* Runs a command on a disk that fails.
 *
 * usage: failing_disk LOG WHICH ERROR COMMAND [ARGUMENT...]
 *
 * Of the system calls by which the command and its children change a file system (write to a regular file, open with O_CREAT,
 * mkdir, rename, fsync, ...), in the order of their arrival, call WHICH fails with the error number ERROR and does nothing:
 * "7" that call only, "7+" that and all later ones, "0" none. LOG gets a line for each call: its name and what it is about.
 * Exits as the command does, with 128 + N after signal N; 77 where the kernel has no seccomp user notifications.
 *
 * The kernel reports the calls themselves (seccomp_unotify(2)), so the C library's own writes are seen, which a preloaded
 * library doesn't see, and those of programs that the command starts. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, FAILED = 125 };

/* What a call is about: the descriptor in argument 0; a path, which counts where the flags have O_CREAT; or always a path. */
typedef enum subject { DESCRIPTOR, CREATED, PATH } subject;

static const struct {
    const char *name;
    long number;
    subject subject;
    unsigned argument; /* of the flags for CREATED, of the path for PATH */
} calls[] = {
    {"write", SYS_write, DESCRIPTOR, 0},
    {"writev", SYS_writev, DESCRIPTOR, 0},
    {"pwrite64", SYS_pwrite64, DESCRIPTOR, 0},
    {"pwritev", SYS_pwritev, DESCRIPTOR, 0},
    {"ftruncate", SYS_ftruncate, DESCRIPTOR, 0},
    {"fallocate", SYS_fallocate, DESCRIPTOR, 0},
    {"fsync", SYS_fsync, DESCRIPTOR, 0},
    {"fdatasync", SYS_fdatasync, DESCRIPTOR, 0},
    {"fchmod", SYS_fchmod, DESCRIPTOR, 0},
    {"openat", SYS_openat, CREATED, 2},
    {"mkdirat", SYS_mkdirat, PATH, 1},
    {"renameat", SYS_renameat, PATH, 1},
    {"renameat2", SYS_renameat2, PATH, 1},
    {"linkat", SYS_linkat, PATH, 1},
    {"symlinkat", SYS_symlinkat, PATH, 0},
#ifdef SYS_open
    {"open", SYS_open, CREATED, 1},
    {"mkdir", SYS_mkdir, PATH, 0},
    {"rename", SYS_rename, PATH, 0},
    {"link", SYS_link, PATH, 0},
    {"symlink", SYS_symlink, PATH, 0},
#endif
};
enum { CALLS = sizeof calls / sizeof *calls };

static int fail(const char *doing) {
    fprintf(stderr, "failing_disk: %s: %s\n", doing, strerror(errno));
    return FAILED;
}

/* ------------------------------------------------------------------ the command */

/* Asks the kernel to report the calls of this process and its children; returns the descriptor that they are reported on. */
static int listen_to_calls(void) {
    struct sock_filter code[CALLS + 3];
    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++)
        code[i + 1] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number, (uint8_t)(CALLS - i), 0);
    code[CALLS + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[CALLS + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    const struct sock_fprog program = {CALLS + 3, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* A message of one byte with room for one descriptor. */
typedef struct parcel {
    struct msghdr message;
    struct iovec part;
    char byte;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
} parcel;

static void prepare(parcel *p) {
    *p = (parcel){.byte = 0};
    p->part = (struct iovec){&p->byte, 1};
    p->message =
        (struct msghdr){.msg_iov = &p->part, .msg_iovlen = 1, .msg_control = p->control, .msg_controllen = sizeof p->control};
}

static int send_descriptor(int channel, int descriptor) {
    parcel p;
    prepare(&p);
    struct cmsghdr *head = CMSG_FIRSTHDR(&p.message);
    *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof descriptor)};
    memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    return sendmsg(channel, &p.message, 0) == 1 ? 0 : -1;
}

/* -1 where the other side ended without one. */
static int receive_descriptor(int channel) {
    parcel p;
    prepare(&p);
    int descriptor = -1;
    if (recvmsg(channel, &p.message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&p.message))
        memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&p.message)), sizeof descriptor);
    return descriptor;
}

static int become(char **command, int channel) {
    int listener = listen_to_calls();
    if (listener < 0)
        return SKIPPED;
    if (send_descriptor(channel, listener) != 0)
        return FAILED;
    close(listener);
    close(channel);
    execvp(command[0], command);
    return FAILED;
}

/* ------------------------------------------------------------------ the disk */

/* The text at `address` of a process, "" where it can't be read. */
static void read_text(uint32_t process, uint64_t address, char out[PATH_MAX]) {
    char memory[64];
    ssize_t length = 0, count = 1;
    snprintf(memory, sizeof memory, "/proc/%u/mem", process);
    int file = open(memory, O_RDONLY | O_CLOEXEC);
    while (file >= 0 && length < PATH_MAX - 1 && count > 0) {
        count = pread(file, out + length, 1, (off_t)address + length); /* a page behind the text may be missing */
        if (count > 0 && out[length] == '\0')
            break;
        length += count > 0 ? count : 0;
    }
    out[length] = '\0';
    if (file >= 0)
        close(file);
}

/* Whether the call changes a file system, and what it is about. Pipes, terminals, shared memory and /proc are no file system.
 */
static bool is_counted(const struct seccomp_notif *asked, size_t call, char about[PATH_MAX]) {
    const uint64_t *arguments = (const uint64_t *)asked->data.args;
    if (calls[call].subject == DESCRIPTOR) {
        char link[64];
        struct stat facts;
        snprintf(link, sizeof link, "/proc/%u/fd/%d", asked->pid, (int)arguments[0]);
        ssize_t length = readlink(link, about, PATH_MAX - 1);
        if (length <= 0 || stat(link, &facts) != 0 || !S_ISREG(facts.st_mode))
            return false;
        about[length] = '\0';
        return strncmp(about, "/memfd:", 7) != 0 && strncmp(about, "/proc/", 6) != 0;
    }
    bool creates = calls[call].subject == PATH || (arguments[calls[call].argument] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)));
    if (creates)
        read_text(asked->pid, arguments[calls[call].subject == PATH ? calls[call].argument : calls[call].argument - 1], about);
    return creates && strncmp(about, "/proc/", 6) != 0 && strncmp(about, "/dev/null", 9) != 0;
}

/* Answers one call; `number` is that of the last counted one. */
static bool answer(int listener, FILE *log, unsigned long *number, unsigned long which, bool later, int error) {
    char about[PATH_MAX] = "";
    struct seccomp_notif asked = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0)
        return errno == EINTR || errno == ENOENT;
    size_t call = 0;
    while (call < CALLS - 1 && calls[call].number != asked.data.nr)
        call++;
    struct seccomp_notif_resp reply = {.id = asked.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (is_counted(&asked, call, about)) {
        ++*number;
        bool fails = which && (later ? *number >= which : *number == which);
        if (fails)
            reply = (struct seccomp_notif_resp){.id = asked.id, .error = -error};
        fprintf(log, "%s %s%s\n", calls[call].name, about, fails ? " FAILS" : "");
    }
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply) == 0 || errno == ENOENT; /* ENOENT: it was killed meanwhile */
}

int main(int argc, char **argv) {
    char *end = NULL;
    unsigned long which = argc > 4 ? strtoul(argv[2], &end, 10) : 0, number = 0;
    int ends[2], status = 0;
    if (argc < 5 || (*end && strcmp(end, "+") != 0)) {
        fprintf(stderr, "usage: failing_disk LOG WHICH[+] ERROR COMMAND [ARGUMENT...]\n");
        return FAILED;
    }
    FILE *log = fopen(argv[1], "we");
    if (!log || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail("preparing");
    pid_t child = fork();
    if (child == 0)
        _exit(become(argv + 4, ends[1]));
    close(ends[1]);
    int listener = child > 0 ? receive_descriptor(ends[0]) : -1;
    struct pollfd events = {.fd = listener, .events = POLLIN};
    while (listener >= 0 && (poll(&events, 1, -1) > 0 || errno == EINTR)) {
        if (events.revents & POLLIN && !answer(listener, log, &number, which, *end == '+', atoi(argv[3])))
            return fail("answering a call");
        if (!(events.revents & POLLIN) && events.revents & (POLLHUP | POLLERR)) /* all processes have ended */
            break;
    }
    if (fclose(log) != 0 || waitpid(child, &status, 0) != child)
        return fail("ending");
    if (listener < 0 && WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        fprintf(stderr, "failing_disk: this kernel reports no system calls (seccomp user notifications)\n");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
