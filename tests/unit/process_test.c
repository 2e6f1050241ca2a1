/* Child processes: what they get, what is kept of what they say, how they end. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "system/process.h"
#include "system/temporary.h"

/* Runs a shell script with `descriptors` as 3, 4, ... and keeps what it says. */
static int run(const char *script, sv_process_options options, sv_tail *said) {
    const char *const arguments[] = {"sh", "-c", script, NULL};
    int ends[2], list[5] = {-1, -1, -1, -1, -1};
    pid_t process;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    list[1] = list[2] = ends[1];
    for (size_t i = 0; i < options.descriptor_count; i++)
        list[3 + i] = options.descriptors[i];
    options.arguments = arguments;
    options.descriptors = list;
    options.descriptor_count += 3;
    assert_int_equal(sv_process_start(&options, &process, NULL), SENVEC_OK);
    close(ends[1]);
    *said = (sv_tail){.length = 0};
    while (sv_tail_read(said, ends[0]))
        ;
    close(ends[0]);
    return sv_process_wait(process);
}

static void what_it_gets(void **state) {
    (void)state;
    sv_tail said;
    char line[300];
    setenv("SENVEC_TEST_A", "old", 1);
    setenv("SENVEC_TEST_B", "kept", 1);
    setenv("SENVEC_API_KEY", "s1", 1);
    setenv("HF_TOKEN", "s2", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s3", 1);
    setenv("TOKENIZERS_PARALLELISM", "false", 1);
    const char *const changes[] = {"SENVEC_TEST_A=new", "SENVEC_TEST_C=added", NULL};
    int result = run("pwd; read x; echo \"$SENVEC_TEST_A $SENVEC_TEST_B $SENVEC_TEST_C [$x]\"",
                     (sv_process_options){.environment = changes, .directory = "/"}, &said);
    assert_int_equal(result, 0);
    assert_string_equal(said.text, "/\nnew kept added []\n");
    assert_int_equal(
        run("echo \"[$SENVEC_API_KEY$HF_TOKEN$AWS_SECRET_ACCESS_KEY]$TOKENIZERS_PARALLELISM\"", (sv_process_options){0}, &said),
        0);
    assert_string_equal(said.text, "[]false\n");
    assert_int_equal(
        run("kill -INT $$; kill -TERM $$; kill -HUP $$; echo alive", (sv_process_options){.ignores_signals = true}, &said), 0);
    assert_string_equal(said.text, "alive\n");
    result = run("echo first; printf 'half\\rlast words  \\n\\n'; exit 3", (sv_process_options){0}, &said);
    sv_tail_last_line(&said, line, sizeof line);
    assert_string_equal(line, "last words");
    sv_process_describe_end(result, line, sizeof line);
    assert_string_equal(line, "ended with exit code 3");
}

/* Descriptors whose numbers are those that the child's others must get. */
static void descriptors_in_each_others_way(void **state) {
    (void)state;
    sv_tail said;
    int three[2], four[2];
    assert_int_equal(pipe2(three, O_CLOEXEC), 0);
    assert_int_equal(pipe2(four, O_CLOEXEC), 0);
    assert_int_equal(write(three[1], "three\n", 6), 6);
    assert_int_equal(write(four[1], "four\n", 5), 5);
    const int swapped[] = {four[0], three[0]};
    assert_int_equal(
        run("read a <&3; read b <&4; echo $a $b", (sv_process_options){.descriptors = swapped, .descriptor_count = 2}, &said),
        0);
    assert_string_equal(said.text, "four three\n");
    for (int i = 0; i < 2; i++) {
        close(three[i]);
        close(four[i]);
    }
}

static void the_end_of_much(void **state) {
    (void)state;
    sv_tail said;
    char line[20];
    assert_int_equal(run("i=0; while [ $i -lt 20000 ]; do echo 'a line that is one of many'; i=$((i + 1)); done; echo the end",
                         (sv_process_options){0}, &said),
                     0);
    assert_int_equal(said.length, sizeof said.text - 1);
    sv_tail_last_line(&said, line, sizeof line);
    assert_string_equal(line, "the end");
    char *many = calloc(1, 3 * sizeof said.text);
    memset(many, 'x', 3 * sizeof said.text);
    sv_tail_append(&said, many, 3 * sizeof said.text);
    assert_true(said.length == sizeof said.text - 1 && said.text[0] == 'x' && !said.text[said.length]);
    sv_tail_last_line(&said, line, sizeof line);
    assert_string_equal(line, "xxxxxxxxxxxxxxxxxxx");
    free(many);
}

static void how_it_ends(void **state) {
    (void)state;
    char how[80];
    pid_t process;
    int wait_status;
    senvec_error err;
    const int descriptors[] = {-1, -1, -1};
    sv_process_options options = {.arguments = (const char *const[]){"no-such-program-anywhere", NULL},
                                  .descriptors = descriptors,
                                  .descriptor_count = 3};
    assert_int_equal(sv_process_start(&options, &process, &err), SENVEC_NOT_FOUND);
    assert_non_null(strstr(err.message, "no-such-program-anywhere"));
    options.arguments = (const char *const[]){"/", NULL};
    assert_int_equal(sv_process_start(&options, &process, &err), SENVEC_SYSTEM);
    options.arguments = (const char *const[]){"sh", "-c", "sleep 1000 & wait", NULL};
    options.own_group = true;
    assert_int_equal(sv_process_start(&options, &process, &err), SENVEC_OK);
    assert_false(sv_process_wait_for(process, 0.02, &wait_status));
    sv_process_describe_end(sv_process_kill(process), how, sizeof how);
    assert_string_equal(how, "was killed by signal 9 (Killed)");
    assert_true(sv_process_wait_for(process, 0, &wait_status)); /* it is nobody's child now */
    options.arguments = (const char *const[]){"true", NULL};
    assert_int_equal(sv_process_start(&options, &process, &err), SENVEC_OK);
    assert_true(sv_process_wait_for(process, 600, &wait_status));
    assert_int_equal(wait_status, 0);
}

static void temporary_folders(void **state) {
    (void)state;
    char folder[SV_MAX_PATH], path[SV_MAX_PATH + 20];
    struct stat facts;
    senvec_error err;
    assert_int_equal(sv_temporary_folder("test", folder, NULL), SENVEC_OK);
    assert_int_equal(stat(folder, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/a", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/a/link", folder);
    assert_int_equal(symlink("/", path), 0);
    assert_int_equal(sv_remove_tree(folder, NULL), SENVEC_OK);
    assert_int_equal(stat(folder, &facts), -1);
    assert_int_equal(sv_remove_tree(folder, NULL), SENVEC_OK);
    FILE *file = sv_temporary_file();
    assert_non_null(file);
    assert_true(fputs("kept", file) >= 0 && ftell(file) == 4);
    fclose(file);
    const char *old = getenv("TMPDIR");
    char *before = old ? strdup(old) : NULL;
    setenv("TMPDIR", "/no/such/folder", 1);
    assert_int_equal(sv_temporary_folder("test", folder, &err), SENVEC_IO);
    assert_non_null(strstr(err.message, "TMPDIR"));
    assert_null(sv_temporary_file());
    if (before)
        setenv("TMPDIR", before, 1);
    else
        unsetenv("TMPDIR");
    free(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_gets),      cmocka_unit_test(descriptors_in_each_others_way),
        cmocka_unit_test(the_end_of_much),   cmocka_unit_test(how_it_ends),
        cmocka_unit_test(temporary_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
