/* senvec: the command line. One table of commands; each lives in cmd_<name>.c and declares its options there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "io/closest.h"
#include "senvec.h"

typedef struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} command;

static int cmd_version(int argc, char **argv);

/* In the order of --help: what people do most comes first. */
static const command commands[] = {
    {"embed", "turn texts into vectors", sv_cmd_embed},
    {"rerank", "order passages by their scores for a query", sv_cmd_rerank},
    {"serve", "the model as an HTTP service", sv_cmd_serve},
    {"pull", "fetch and verify a model", sv_cmd_pull},
    {"models", "the models that are known by name", sv_cmd_models},
    {"selftest", "compare a model's vectors with published ones", sv_cmd_selftest},
    {"info", "what a model is and how it runs here", sv_cmd_info},
    {"tokenize", "turn texts into token ids", sv_cmd_tokenize},
    {"pack", "write the model into one file, in int8", sv_cmd_pack},
    {"export", "write the model as an ONNX file", sv_cmd_export},
    {"quantize", "write the model as an ONNX file in int8", sv_cmd_quantize},
    {"load", "measure a server under load: latency, throughput, failures", sv_cmd_load},
    {"compare", "compare the vectors and the speed of two servers", sv_cmd_compare},
    {"doctor", "what this machine can do", sv_cmd_doctor},
    {"study", "measure this machine: PyTorch and senvec side by side", sv_cmd_study},
    {"version", "print the version", cmd_version},
    {"worker", NULL, sv_cmd_worker}, /* for the study itself; not listed */
    {NULL, NULL, NULL},
};

enum { MAX_COMMANDS = 32 };

static int cmd_version(int argc, char **argv) {
    const sv_option options[] = {SV_OPTIONS_END};
    const sv_usage usage = {.synopsis = "version", .about = "Prints the version, as --version does.", .options = options};
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    printf("senvec %s\n", senvec_version());
    return SV_EXIT_DONE;
}

static int print_help(void) {
    printf("Usage: senvec COMMAND [OPTION]... [ARGUMENT]...\n\n"
           "Sentence vectors on CPUs, and the study that measures them.\n\n"
           "  senvec pull all-MiniLM-L6-v2\n"
           "  senvec embed texts.txt -o vectors.npy\n\n"
           "Commands:\n");
    for (const command *c = commands; c->name; c++)
        if (c->summary)
            printf("  %-10s %s\n", c->name, c->summary);
    printf("\n'senvec help COMMAND' or 'senvec COMMAND --help' says more about one of them.\n"
           "'senvec help --man' is the manual page, 'senvec help --completion' is for bash.\n"
           "\n"
           "Exit codes: 0: done. 1: it failed or was interrupted, and stderr says why.\n"
           "2: the command line is wrong, nothing was done. 128 + N: ended by signal N.\n");
    return SV_EXIT_DONE;
}

/* Each listed command's own --help, in the form that was chosen; the stages of the study after it. */
static void each_help(void (*before)(const char *name)) {
    for (const command *c = commands; c->name; c++) {
        char *arguments[] = {(char *)c->name, (char[]){"--help"}, NULL};
        if (!c->summary)
            continue;
        before(c->name);
        c->run(2, arguments);
        for (const sv_study_stage *stage = sv_study_stages; strcmp(c->name, "study") == 0 && stage->name; stage++) {
            before(stage->full);
            stage->run(2, arguments);
        }
    }
}

static void before_section(const char *name) {
    (void)name;
}

static void before_words(const char *name) {
    printf("\n    ['%s']='", name);
    for (const sv_study_stage *stage = sv_study_stages; strcmp(name, "study") == 0 && stage->name; stage++)
        printf("%s ", stage->name);
}

static int print_man(void) {
    printf(".TH SENVEC 1 \"\" \"senvec %s\" \"User Commands\"\n.SH NAME\nsenvec \\- sentence vectors on CPUs\n.SH SYNOPSIS\n"
           "\\fBsenvec\\fR COMMAND [OPTION]... [ARGUMENT]...\n.SH COMMANDS\n",
           senvec_version());
    sv_options_help_as(SV_HELP_MAN);
    each_help(before_section);
    printf(".SH EXIT STATUS\n0: done. 1: it failed or was interrupted, and standard error says why. 2: the command line is "
           "wrong,\n"
           "nothing was done. 128 + N: ended by signal N.\n");
    return SV_EXIT_DONE;
}

static int print_completion(void) {
    printf("# bash completion for senvec, made by 'senvec help --completion'\ndeclare -A _senvec_words=(");
    sv_options_help_as(SV_HELP_WORDS);
    for (const command *c = commands; c->name; c++)
        if (c->summary)
            printf("%s%s", c == commands ? "\n    [commands]='" : " ", c->name);
    printf(" help'");
    each_help(before_words);
    printf(")\n"
           "_senvec() {\n"
           "    local command=${COMP_WORDS[1]} current=${COMP_WORDS[COMP_CWORD]}\n"
           "    [ \"$COMP_CWORD\" -gt 1 ] || command=commands\n"
           "    [ -z \"${_senvec_words[\"$command ${COMP_WORDS[2]}\"]}\" ] || command=\"$command ${COMP_WORDS[2]}\"\n"
           "    COMPREPLY=($(compgen -W \"${_senvec_words[$command]}\" -- \"$current\"))\n"
           "}\n"
           "complete -o default -F _senvec senvec\n");
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
    for (const sv_study_stage *stage = sv_study_stages; stage->name; stage++) {
        if (stage->former && strcmp(stage->name, name) == 0) {
            sv_cli_set_command(stage->full);
            sv_cli_say("'senvec %s' is called 'senvec %s' now; this spelling goes with the next release", name, stage->full);
            return stage->run(argc, argv);
        }
    }
    return fail_unknown(name);
}

static int dispatch(int argc, char **argv) {
    if (argc < 2)
        return sv_cli_usage_error("a command is missing; 'senvec --help' lists them");
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0)
        return run_command("version", 1, (char *[]){(char[]){"version"}, NULL});
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2))
        return print_help();
    if (strcmp(name, "help") == 0 && strcmp(argv[2], "--man") == 0)
        return print_man();
    if (strcmp(name, "help") == 0 && strcmp(argv[2], "--completion") == 0)
        return print_completion();
    if (strcmp(name, "help") == 0 && argc > 3)
        return run_command(argv[2], 3, (char *[]){argv[2], argv[3], (char[]){"--help"}, NULL});
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
    sv_cli_guard_json();
    int code = dispatch(argc, argv);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == SV_EXIT_DONE) {
        sv_cli_say("standard output: writing failed: %s", strerror(errno ? errno : EIO));
        code = SV_EXIT_FAILED;
    }
    return code;
}
