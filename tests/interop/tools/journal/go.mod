module oci-bundler/tests/interop/tools/journal

go 1.26.0

tool oci-bundler/tests/interop/tools/journal

require golang.org/x/mod v0.37.0
