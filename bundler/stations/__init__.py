"""What people do at a station. The only place that combines content, bundles and trust."""
