/* senvec: the command line. One table of commands; each lives in cmd_<name>.c and declares its options there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "senvec.h"

typedef struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} command;

/* In the order of --help. */
static const command commands[] = {
    {"study", "measure this machine: PyTorch and senvec side by side", sv_cmd_study},
    {"bench", "the study's measuring stage alone", sv_cmd_bench},
    {"sweep", "the study's stage of batch sizes alone", sv_cmd_sweep},
    {"validate", "the study's accuracy stage alone", sv_cmd_validate},
    {"batching", "the study's stage of single texts under load", sv_cmd_batching},
    {"cost", "the study's cost stage alone", sv_cmd_cost},
    {"report", "the study as a page, a PDF and a notebook", sv_cmd_report},
    {"embed", "turn texts into vectors", sv_cmd_embed},
    {"serve", "the model as an HTTP service", sv_cmd_serve},
    {"tokenize", "turn texts into token ids", sv_cmd_tokenize},
    {"info", "what a model is and how it runs here", sv_cmd_info},
    {"pull", "fetch and verify a model", sv_cmd_pull},
    {"export", "write the model as an ONNX file", sv_cmd_export},
    {"quantize", "write the model as an ONNX file in int8", sv_cmd_quantize},
    {"load", "ask a server as its users would, and say how it did", sv_cmd_load},
    {"doctor", "what this machine can do", sv_cmd_doctor},
    {"worker", NULL, sv_cmd_worker}, /* for the study itself; not listed */
    {NULL, NULL, NULL},
};

enum { MAX_COMMANDS = 32 };

static int print_help(void) {
    printf("Usage: senvec COMMAND [OPTION]... [ARGUMENT]...\n\n"
           "Sentence vectors on CPUs, and the study that measures them.\n\n"
           "Commands:\n");
    for (const command *c = commands; c->name; c++)
        if (c->summary)
            printf("  %-10s %s\n", c->name, c->summary);
    printf("\n'senvec help COMMAND' says more about one of them. 'senvec --version' prints the version.\n");
    return SV_EXIT_DONE;
}

static int fail_unknown(const char *name) {
    const char *names[MAX_COMMANDS + 1] = {NULL};
    for (size_t i = 0; i < MAX_COMMANDS && commands[i].name; i++)
        names[i] = commands[i].name;
    const char *closest = sv_closest(name, names);
    const char *kind = name[0] == '-' ? "option" : "command";
    if (closest)
        return sv_cli_usage_error("unknown %s '%s'; did you mean '%s'?", kind, name, closest);
    return sv_cli_usage_error("unknown %s '%s'; 'senvec --help' lists the commands", kind, name);
}

static int run_command(const char *name, int argc, char **argv) {
    for (const command *c = commands; c->name; c++) {
        if (strcmp(c->name, name) == 0) {
            sv_cli_set_command(c->name);
            return c->run(argc, argv);
        }
    }
    return fail_unknown(name);
}

static int dispatch(int argc, char **argv) {
    if (argc < 2)
        return sv_cli_usage_error("a command is missing; 'senvec --help' lists them");
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        printf("senvec %s\n", senvec_version());
        return SV_EXIT_DONE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2))
        return print_help();
    if (strcmp(name, "help") == 0)
        return run_command(argv[2], 2, (char *[]){argv[2], (char[]){"--help"}, NULL});
    return run_command(name, argc - 1, argv + 1);
}

/* A caller may have closed one of the three; a file that then gets its number would be printed into. */
static void hold_standard_descriptors(void) {
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
            _exit(SV_EXIT_FAILED);
}

int main(int argc, char **argv) {
    hold_standard_descriptors();
    sv_cli_catch_signals();
    int code = dispatch(argc, argv);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == SV_EXIT_DONE) {
        sv_cli_say("standard output: writing failed: %s", strerror(errno ? errno : EIO));
        code = SV_EXIT_FAILED;
    }
    return code;
}
