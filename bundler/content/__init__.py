"""Where bytes are: registries, layouts, files. Content is named by its digest and never believed."""
