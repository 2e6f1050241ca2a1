/* One thread opens models and lets them go, so that there is never a question which of the two comes first. */
#include "server/served.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/condition.h"
#include "server/exchange.h"
#include "server/helper_thread.h"

/* ------------------------------------------------------------------- names */

static const char *name_in(const sv_served *served, const char *asked) {
    static const char latest[] = ":latest";
    size_t length = strlen(asked), tail = sizeof latest - 1;
    for (size_t i = 0; i < served->names.count; i++) {
        const char *name = served->names.items[i];
        size_t own = strlen(name);
        if (strncasecmp(name, asked, own) == 0 && (length == own || (length == own + tail && strcmp(asked + own, latest) == 0)))
            return name;
    }
    return NULL;
}

sv_served *sv_served_find(sv_server *server, const char *asked, const char **name) {
    for (size_t i = 0; i < server->served.count; i++) {
        const char *found = name_in(&server->served.items[i], asked);
        if (found) {
            *name = found;
            return &server->served.items[i];
        }
    }
    return NULL;
}

void sv_served_name_all(const sv_server *server, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < server->served.count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s'%.100s'", i ? ", " : "", server->served.items[i].names.items[0]);
}

static senvec_status take_names(sv_served *served, senvec_error *err) {
    sv_server_names *names = &served->names;
    const sv_model_source *source = &served->source;
    const char *name;
    for (size_t i = 0; i <= source->name_count && names->count < SV_SERVER_NAMES; i++) {
        const char *given = i < source->name_count ? source->names[i] : names->count == 0 ? served->info.name : "";
        if (!*given || name_in(served, given))
            continue;
        if (sv_served_find(served->server, given, &name))
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "two models have the name '%s'; give one another: -m NAME=MODEL",
                           name);
        snprintf(names->items[names->count++], sizeof names->items[0], "%s", given);
    }
    return SENVEC_OK;
}

/* ----------------------------------------------------------------- opening */

/* Opens the model itself, not only its facts; the caller has no lock. */
static senvec_status load(sv_served *served, senvec_error *err) {
    sv_server *server = served->server;
    senvec_model *model = NULL;
    sv_batcher_model *place = NULL;
    SENVEC_TRY(served->source.open(served->source.context, false, &model, err));
    senvec_status status = SENVEC_OK;
    if (server->batcher) {
        status = sv_batcher_add_model(server->batcher, model, &place, err);
    } else {
        status = sv_batcher_open(model, &server->options.batcher, &server->batcher, err);
        place = status == SENVEC_OK ? sv_batcher_first_model(server->batcher) : NULL;
    }
    if (status != SENVEC_OK) {
        senvec_model_free(model);
        return status;
    }
    pthread_mutex_lock(&server->served.lock);
    served->model = model;
    served->place = place;
    served->used_ns = sv_clock_ns();
    served->loads++;
    pthread_mutex_unlock(&server->served.lock);
    return SENVEC_OK;
}

static void unload(sv_served *served) {
    sv_served_list *list = &served->server->served;
    pthread_mutex_lock(&list->lock);
    senvec_model *model = served->model;
    sv_batcher_model *place = served->place;
    served->model = NULL;
    served->place = NULL;
    served->unloads++;
    pthread_mutex_unlock(&list->lock);
    sv_model_space_close(&served->space); /* it may read the model's files for a second yet */
    sv_batcher_remove_model(served->server->batcher, place);
    senvec_model_free(model);
    malloc_trim(0);
}

/* The numbers are the open model's, the strings those of what stays. */
static void describe(sv_served *served) {
    senvec_model_info facts;
    senvec_model_describe(served->model, &served->info);
    senvec_model_describe(served->facts, &facts);
    served->info.directory = facts.directory;
    served->info.pooling = facts.pooling;
    served->info.name = facts.name;
    served->info.prompts = facts.prompts;
    served->info.prompt_count = facts.prompt_count;
    served->info.default_prompt_name = facts.default_prompt_name;
    served->info.architecture = facts.architecture;
}

static senvec_status open_one(sv_served *served, senvec_error *err) {
    SENVEC_TRY(load(served, err));
    served->facts = served->model;
    if (served->server->served.idle_ns)
        SENVEC_TRY(served->source.open(served->source.context, true, &served->facts, err));
    describe(served);
    SENVEC_TRY(take_names(served, err));
    SENVEC_TRY(sv_token_text_open(served->facts, &served->tokens, err));
    sv_model_space_open(&served->space, served->model, &served->info);
    served->info.space_id = NULL;
    return SENVEC_OK;
}

senvec_status sv_served_open(sv_server *server, const sv_server_options *options, senvec_error *err) {
    sv_served_list *list = &server->served;
    pthread_mutex_init(&list->lock, NULL);
    sv_condition_init(&list->changed);
    list->initialized = true;
    list->last = &list->first;
    list->idle_ns = options->idle_unload_ns;
    for (size_t i = 0; i < options->model_count; i++) {
        sv_served *served = &list->items[list->count++];
        served->server = server;
        served->source = options->models[i];
        SENVEC_TRY(open_one(served, err));
        served->source.names = NULL;
        served->source.name_count = 0;
    }
    return SENVEC_OK;
}

/* ----------------------------------------------------------------- callers */

bool sv_served_use(sv_served *served) {
    sv_served_list *list = &served->server->served;
    pthread_mutex_lock(&list->lock);
    bool there = served->model != NULL;
    served->users += there;
    pthread_mutex_unlock(&list->lock);
    return there;
}

void sv_served_leave(sv_served *served, size_t texts) {
    sv_served_list *list = &served->server->served;
    pthread_mutex_lock(&list->lock);
    served->users--;
    served->used_ns = sv_clock_ns();
    served->requests += texts > 0;
    served->texts += texts;
    pthread_mutex_unlock(&list->lock);
}

void sv_served_wait(sv_served *served, sv_exchange *exchange) {
    sv_served_list *list = &served->server->served;
    exchange->next_done = NULL;
    pthread_mutex_lock(&list->lock);
    *list->last = exchange;
    list->last = &exchange->next_done;
    pthread_cond_signal(&list->changed);
    pthread_mutex_unlock(&list->lock);
}

/* -------------------------------------------------------------- the thread */

/* A model that is idle for long enough; else NULL, and *until is when to look again. With the lock held. */
static sv_served *find_idle(sv_served_list *list, uint64_t now, uint64_t *until) {
    *until = UINT64_MAX;
    for (size_t i = 0; list->idle_ns && i < list->count; i++) {
        sv_served *served = &list->items[i];
        uint64_t due = served->used_ns + list->idle_ns;
        if (!served->model)
            continue;
        if (served->users > 0)
            due = now + list->idle_ns;
        else if (due <= now)
            return served;
        *until = due < *until ? due : *until;
    }
    return NULL;
}

/* Without the lock. */
static void serve_waiting(sv_exchange *exchange) {
    senvec_error err;
    bool used = sv_served_use(exchange->served);
    if (!used) {
        if (load(exchange->served, &err) == SENVEC_OK)
            used = sv_served_use(exchange->served);
        else
            sv_exchange_fail(exchange, 503, "the model can't be opened: %s", err.message);
    }
    sv_exchange_go_on(exchange, used);
}

static void *run(void *context) {
    sv_served_list *list = context;
    pthread_mutex_lock(&list->lock);
    for (;;) {
        uint64_t until;
        sv_exchange *exchange = list->first;
        sv_served *idle = exchange ? NULL : find_idle(list, sv_clock_ns(), &until);
        if (exchange) {
            list->first = exchange->next_done;
            if (!list->first)
                list->last = &list->first;
        } else if (list->stopping) {
            break;
        } else if (!idle) {
            sv_condition_wait(&list->changed, &list->lock, until);
            continue;
        }
        pthread_mutex_unlock(&list->lock);
        if (exchange)
            serve_waiting(exchange);
        else
            unload(idle);
        pthread_mutex_lock(&list->lock);
    }
    pthread_mutex_unlock(&list->lock);
    return NULL;
}

senvec_status sv_served_start(sv_server *server, senvec_error *err) {
    sv_served_list *list = &server->served;
    if (!list->idle_ns)
        return SENVEC_OK;
    int error = sv_helper_thread_start(&list->thread, run, list);
    if (error)
        return sv_fail(err, SENVEC_SYSTEM, 0, "starting the thread that opens models failed: %s", strerror(error));
    list->started = true;
    return SENVEC_OK;
}

void sv_served_stop(sv_served_list *list) {
    if (!list->started)
        return;
    pthread_mutex_lock(&list->lock);
    list->stopping = true;
    pthread_cond_signal(&list->changed);
    pthread_mutex_unlock(&list->lock);
    pthread_join(list->thread, NULL);
    list->started = false;
}

void sv_served_close(sv_served_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        sv_served *served = &list->items[i];
        sv_token_text_close(&served->tokens);
        sv_model_space_close(&served->space);
        if (served->facts != served->model)
            senvec_model_free(served->facts);
        senvec_model_free(served->model);
    }
    if (list->initialized) {
        pthread_cond_destroy(&list->changed);
        pthread_mutex_destroy(&list->lock);
    }
    *list = (sv_served_list){.count = 0};
}
