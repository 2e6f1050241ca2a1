/* Prints how alike two sentences are. Build it with
 *     cc similarity.c $(pkg-config --cflags --libs senvec) -lm -o similarity
 * and run it with a model's folder, which `senvec pull all-MiniLM-L6-v2` prints. */
#include <senvec.h>
#include <stdio.h>

int main(int argc, char **argv) {
    senvec_error err;
    senvec_model *model;
    senvec_session *session;
    const senvec_text texts[2] = {{"a dog runs in the park", 22}, {"a puppy plays outside", 21}};
    float vectors[2][4096], cosine = 0;
    senvec_model_info info;

    if (argc != 2 || senvec_model_open(argv[1], NULL, &model, &err) != SENVEC_OK) {
        fprintf(stderr, "%s\n", argc != 2 ? "usage: similarity MODEL" : err.message);
        return 1;
    }
    senvec_model_describe(model, &info);
    int code = 1;
    if (senvec_session_open(model, NULL, &session, &err) != SENVEC_OK) {
        fprintf(stderr, "%s\n", err.message);
    } else {
        if (senvec_embed(session, texts, 2, vectors[0], 4096, NULL, &err) != SENVEC_OK) {
            fprintf(stderr, "%s\n", err.message);
        } else {
            for (size_t i = 0; i < info.dimensions; i++) /* both have length 1 */
                cosine += vectors[0][i] * vectors[1][i];
            printf("%s, %zu dimensions: cosine %.3f\n", senvec_precision_name(info.precision), info.dimensions, cosine);
            code = 0;
        }
        senvec_session_free(session);
    }
    senvec_model_free(model);
    return code;
}
