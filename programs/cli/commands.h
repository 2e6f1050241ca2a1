/* The commands: argv[0] is the command's name; each returns an exit code (cli.h). */
#ifndef SV_CLI_COMMANDS_H
#define SV_CLI_COMMANDS_H

#include <stdbool.h>

int sv_cmd_batching(int argc, char **argv);
int sv_cmd_bench(int argc, char **argv);
int sv_cmd_compare(int argc, char **argv);
int sv_cmd_cost(int argc, char **argv);
int sv_cmd_doctor(int argc, char **argv);
int sv_cmd_embed(int argc, char **argv);
int sv_cmd_export(int argc, char **argv);
int sv_cmd_info(int argc, char **argv);
int sv_cmd_load(int argc, char **argv);
int sv_cmd_models(int argc, char **argv);
int sv_cmd_pack(int argc, char **argv);
int sv_cmd_pull(int argc, char **argv);
int sv_cmd_quantize(int argc, char **argv);
int sv_cmd_report(int argc, char **argv);
int sv_cmd_rerank(int argc, char **argv);
int sv_cmd_selftest(int argc, char **argv);
int sv_cmd_serve(int argc, char **argv);
int sv_cmd_services(int argc, char **argv);
int sv_cmd_study(int argc, char **argv);
int sv_cmd_sweep(int argc, char **argv);
int sv_cmd_tokenize(int argc, char **argv);
int sv_cmd_validate(int argc, char **argv);
int sv_cmd_worker(int argc, char **argv);

/* A stage of the study: `senvec study NAME`. */
typedef struct sv_study_stage {
    const char *name, *full; /* "bench", "study bench" */
    const char *summary;     /* for the list in `senvec study --help` */
    int (*run)(int argc, char **argv);
    bool former; /* `senvec NAME` was a command of its own; that spelling goes with the next release */
} sv_study_stage;

/* In the order in which a study runs them; the last one has no name. */
extern const sv_study_stage sv_study_stages[];

#endif
