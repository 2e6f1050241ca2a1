/* Command line options, declared once: from one table come the parsing, the checks and the text of --help.
 *
 *     size_t count = 200;
 *     const sv_option options[] = {
 *         SV_OPTION_COUNT('n', "count", "N", &count, 1, 1000000, "timed calls"),
 *         SV_OPTIONS_END,
 *     };
 *     const sv_usage usage = {.synopsis = "bench [OPTION]... [FILE]...", .about = "Times ...", .options = options,
 *                             .most_operands = SIZE_MAX};
 *     sv_operands operands;
 *     int code = sv_options_parse(&usage, argc, argv, &operands);
 *     if (code != SV_RUN)
 *         return code;
 *
 * A target holds its default before parsing, and --help shows it. If an option is given twice, the last one counts, except for
 * options that collect their values (SV_OPTION_TEXTS). */
#ifndef SV_CLI_OPTIONS_H
#define SV_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum sv_option_kind {
    SV_KIND_END,
    SV_KIND_FLAG,
    SV_KIND_TEXT,
    SV_KIND_TEXTS,
    SV_KIND_COUNT,
    SV_KIND_REAL,
    SV_KIND_DURATION,
    SV_KIND_CHOICE,
} sv_option_kind;

/* The values of an option that may be given several times. */
#define SV_MAX_REPEATS 16
typedef struct sv_option_texts {
    const char *items[SV_MAX_REPEATS];
    size_t count;
} sv_option_texts;

typedef struct sv_option {
    sv_option_kind kind;
    char letter;       /* 0: none */
    const char *name;  /* without dashes */
    const char *value; /* what --help calls the value; a choice shows its choices */
    const char *help;  /* wrapped where it is printed; NULL: accepted, but not shown */
    union {
        bool *flag;
        const char **text; /* points into argv afterwards */
        sv_option_texts *texts;
        size_t *count;
        double *real;
        double *seconds;
        int *choice; /* index in `choices` */
    } target;
    double least, most;         /* of a count, a real or a duration, both inclusive */
    double unit;                /* seconds that a duration without a unit counts in */
    const char *const *choices; /* NULL-terminated */
} sv_option;

#define SV_OPTION_FLAG(letter_, name_, target_, help_)                                                                         \
    { .kind = SV_KIND_FLAG, .letter = letter_, .name = name_, .help = help_, .target.flag = target_ }
#define SV_OPTION_TEXT(letter_, name_, value_, target_, help_)                                                                 \
    { .kind = SV_KIND_TEXT, .letter = letter_, .name = name_, .value = value_, .help = help_, .target.text = target_ }
/* May be given several times. */
#define SV_OPTION_TEXTS(letter_, name_, value_, target_, help_)                                                                \
    { .kind = SV_KIND_TEXTS, .letter = letter_, .name = name_, .value = value_, .help = help_, .target.texts = target_ }
/* A whole number, digits only. */
#define SV_OPTION_COUNT(letter_, name_, value_, target_, least_, most_, help_)                                                 \
    {                                                                                                                          \
        .kind = SV_KIND_COUNT, .letter = letter_, .name = name_, .value = value_, .help = help_, .target.count = target_,      \
        .least = least_, .most = most_                                                                                         \
    }
/* A decimal number. */
#define SV_OPTION_REAL(letter_, name_, value_, target_, least_, most_, help_)                                                  \
    {                                                                                                                          \
        .kind = SV_KIND_REAL, .letter = letter_, .name = name_, .value = value_, .help = help_, .target.real = target_,        \
        .least = least_, .most = most_                                                                                         \
    }
/* A number and its unit, "50ms", "10s", "2m", "1h". Without one it counts in `unit_` seconds: what an option took before it
 * took units goes on to mean the same. The target is in seconds. */
#define SV_OPTION_DURATION(letter_, name_, unit_, target_, least_, most_, help_)                                               \
    {                                                                                                                          \
        .kind = SV_KIND_DURATION, .letter = letter_, .name = name_, .value = "TIME", .help = help_, .target.seconds = target_, \
        .least = least_, .most = most_, .unit = unit_                                                                          \
    }
/* One word of a list. A target of -1 stands for "not given". */
#define SV_OPTION_CHOICE(letter_, name_, target_, choices_, help_)                                                             \
    { .kind = SV_KIND_CHOICE, .letter = letter_, .name = name_, .help = help_, .target.choice = target_, .choices = choices_ }
#define SV_OPTIONS_END                                                                                                         \
    { .kind = SV_KIND_END }

typedef struct sv_usage {
    const char *synopsis;     /* "embed [OPTION]... [FILE]...", the command's name first */
    const char *about;        /* what it does, below the synopsis */
    const sv_option *options; /* up to SV_OPTIONS_END; --help is added */
    const char *notes;        /* below the options: examples, formats; NULL: nothing */
    size_t least_operands, most_operands;
} sv_usage;

/* What is not an option, in order; points into argv. */
typedef struct sv_operands {
    size_t count;
    char **items;
} sv_operands;

/* Not an exit code: the command line is right, go on. */
#define SV_RUN (-1)

/* Parses argv[1..]: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, flags together (-ab); "--" ends the options, "-" is an
 * operand; operands may stand anywhere. Reorders argv. Returns SV_RUN, or the exit code to leave with: 0 after --help (on
 * stdout), 2 after a line on stderr that says what is wrong. */
int sv_options_parse(const sv_usage *usage, int argc, char **argv, sv_operands *out);

/* What --help prints: text of 80 columns, a section of a manual page, or the words that a shell completes. */
typedef enum sv_help_form { SV_HELP_TEXT, SV_HELP_MAN, SV_HELP_WORDS } sv_help_form;
void sv_options_help_as(sv_help_form form);

/* Strict numbers: the whole text, no sign, no space. */
bool sv_parse_count(const char *text, size_t *out);
bool sv_parse_real(const char *text, double *out);
/* A real number with "us", "ms", "s", "m" or "h", or without a unit, which then is `unit` seconds; in seconds. */
bool sv_parse_duration(const char *text, double unit, double *out);

#endif
