/* A program of somebody else's, which knows senvec.h and nothing more. Prints the length of one text's vector. Also compiles as
 * C++. */
#include <senvec.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    senvec_error err;
    senvec_model *model;
    senvec_session *session;
    senvec_model_info info;
    if (argc != 2)
        return 2;
    if (strcmp(senvec_version(), SENVEC_VERSION) != 0) {
        fprintf(stderr, "header %s, library %s\n", SENVEC_VERSION, senvec_version());
        return 1;
    }
    if (senvec_model_open(argv[1], NULL, &model, &err) != SENVEC_OK ||
        senvec_session_open(model, NULL, &session, &err) != SENVEC_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    senvec_model_describe(model, &info);
    float *vector = (float *)malloc(info.dimensions * sizeof *vector);
    const char *sentence = "a sentence";
    senvec_text text = {sentence, strlen(sentence)};
    if (!vector || senvec_embed(session, &text, 1, vector, info.dimensions, NULL, &err) != SENVEC_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    double square = 0;
    for (size_t i = 0; i < info.dimensions; i++)
        square += (double)vector[i] * vector[i];
    printf("%zu dimensions, length %.3f\n", info.dimensions, sqrt(square));
    free(vector);
    senvec_session_free(session);
    senvec_model_free(model);
    return 0;
}
