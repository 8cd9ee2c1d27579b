// Pulls an image by containers/image, the library of podman, CRI-O, skopeo and buildah, into an OCI layout. What policy.json,
// registries.conf and registries.d below $HOME/.config/containers say is obeyed. Debian 12 builds the library without
// Sigstore; this has it.
package main

import (
	"context"
	"fmt"
	"os"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/signature"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: containers-image IMAGE FOLDER")
		os.Exit(2)
	}
	if err := pull(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pull(from, to string) error {
	policy, err := signature.DefaultPolicy(nil)
	if err != nil {
		return err
	}
	judge, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer judge.Destroy()
	source, err := docker.ParseReference("//" + from)
	if err != nil {
		return err
	}
	target, err := layout.ParseReference(to)
	if err != nil {
		return err
	}
	_, err = copy.Image(context.Background(), judge, target, source, &copy.Options{RemoveSignatures: true})
	return err
}
