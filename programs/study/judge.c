/* What the reader should know about the quality of the numbers. */
#include <math.h>
#include <string.h>

#include "results/figures.h"
#include "study/runner_internal.h"

#define SPREAD_LIMIT 0.05   /* of a row's blocks, above which the reader is warned */
#define STEAL_LIMIT 0.01    /* of a block's CPU time */
#define IDLE_CPU_LIMIT 0.05 /* CPUs that idle workers may use */

void sv_runner_judge(sv_runner *runner) {
    sv_results *results = runner->results;
    const sv_row *worst = NULL;
    size_t noisy = 0;
    double steal = 0, idle = 0, worst_spread = 0;
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        const double spread = sv_rate_spread(&row->bench);
        noisy += spread > SPREAD_LIMIT;
        if (spread > worst_spread) {
            worst_spread = spread;
            worst = row;
        }
        for (size_t b = 0; b < row->bench.block_count; b++) {
            steal = fmax(steal, row->bench.blocks[b].steal);
            idle = fmax(idle, row->bench.blocks[b].idle_cpu);
        }
    }
    if (noisy)
        sv_results_warn(results,
                        "the machine was noisy: the blocks of %zu configurations differ by over %.0f %% (standard deviation), "
                        "most those of %s: %.1f %%",
                        noisy, 100 * SPREAD_LIMIT, worst->name, 100 * worst_spread);
    if (steal > STEAL_LIMIT)
        sv_results_warn(results, "the hypervisor took up to %.1f %% of the CPU time of a block", 100 * steal);
    if (idle > IDLE_CPU_LIMIT)
        sv_results_warn(results, "idle workers used up to %.2f CPUs while another one was measured", idle);
    const char *governor = runner->machine.governor;
    if (governor[0] && strcmp(governor, "performance") != 0)
        sv_results_warn(results, "the CPU frequency governor is \"%s\", not \"performance\"", governor);
}
