"""The Python environments of workloads: which one a job runs in, how it is built, what there is."""
