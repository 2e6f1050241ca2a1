/* Twenty skills as people list them, from many trades, so that no vocabulary dominates: 11 to 15 tokens each, [CLS] and [SEP]
 * included, 12.85 on average. */
#include "io/texts.h"

const char *const sv_default_corpus[] = {
    "Designing relational database schemas and tuning slow SQL queries",
    "Writing readable unit tests for large legacy Java services",
    "Soldering, testing and repairing small electronic circuit boards",
    "Planning weekly menus for a restaurant kitchen on a tight budget",
    "Building responsive web pages with accessible forms and keyboard navigation",
    "Negotiating long-term supply contracts with overseas manufacturers",
    "Training neural image classifiers for defect detection in factories",
    "Teaching beginners conversational Spanish through games, stories and songs",
    "Automating cloud deployments with Terraform and infrastructure as code",
    "Editing documentary footage and mixing location sound for broadcast",
    "Diagnosing engine and gearbox faults in diesel trucks and buses",
    "Forecasting quarterly sales with seasonal time series models in R",
    "Caring for elderly patients who are recovering from hip surgery",
    "Drawing vector illustrations and book covers for children's publishers",
    "Securing small office networks against phishing and ransomware",
    "Grafting fruit trees and managing organic orchards without pesticides",
    "Translating technical manuals and patents from German into English",
    "Leading agile teams through product discovery, delivery and support",
    "Reading structural blueprints and estimating the cost of building materials",
    "Profiling C programs to remove memory and cache bottlenecks",
};

const size_t sv_default_corpus_count = sizeof sv_default_corpus / sizeof sv_default_corpus[0];
