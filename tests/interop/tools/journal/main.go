// Reads a journal as the Go checksum database's own packages read a log: the checkpoint by sumdb/note, tiles, proofs and trees by
// sumdb/tlog. What these lack is added as C2SP says it: ECDSA and cosignature/v1 as verifiers, bundles of entries, tlog-proof.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height, width = 8, 256

func main() {
	origin := flag.String("origin", "", "the origin of the journal")
	key := flag.String("key", "", "the station's public key")
	since := flag.String("since", "", "an earlier checkpoint")
	cosigner := flag.String("cosigner", "", "NAME=FILE, who must have cosigned")
	proof := flag.String("proof", "", "a .tlog-proof to check, of the entry in the file FOLDER")
	flag.Parse()
	if err := run(flag.Arg(0), *origin, *key, *since, *cosigner, *proof); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder, origin, key, since, cosigner, proof string) error {
	station, err := newStation(origin, key)
	if err != nil {
		return err
	}
	if proof != "" {
		return checkProof(proof, folder, station)
	}
	tree, opened, err := checkpoint(filepath.Join(folder, "checkpoint"), station, cosigner)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, tiles(folder))
	if err := checkTiles(folder, tree, hashes); err != nil {
		return err
	}
	if err := checkEntries(folder, tree, hashes); err != nil {
		return err
	}
	if since != "" {
		if err := checkSince(since, station, tree, hashes); err != nil {
			return err
		}
	}
	fmt.Printf("%d %x %d\n", tree.N, tree.Hash[:], len(opened.Sigs))
	return nil
}

// checkpoint opens the note with the station as a known signer, and the cosigner if there is one: both must have signed.
func checkpoint(path string, station note.Verifier, cosigner string) (tlog.Tree, *note.Note, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	return open(data, station, cosigner)
}

func open(data []byte, station note.Verifier, cosigner string) (tlog.Tree, *note.Note, error) {
	verifiers := []note.Verifier{station}
	if name, file, ok := strings.Cut(cosigner, "="); ok {
		witness, err := newWitness(name, file)
		if err != nil {
			return tlog.Tree{}, nil, err
		}
		verifiers = append(verifiers, witness)
	}
	opened, err := note.Open(data, note.VerifierList(verifiers...))
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	if len(opened.Sigs) != len(verifiers) || opened.Sigs[0].Name != station.Name() {
		return tlog.Tree{}, nil, errors.New("not all who should have signed the checkpoint")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != station.Name() || lines[3] != "" {
		return tlog.Tree{}, nil, fmt.Errorf("not a checkpoint of %s: %q", station.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, opened, err
}

// tiles is the folder of a journal as a tlog.TileReader: tlog puts the height into the path, tlog-tiles does not.
type tiles string

func (t tiles) Height() int { return height }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(t.path(tile))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s is of %d bytes", t.path(tile), len(data))
		}
		found = append(found, data)
	}
	return found, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) path(tile tlog.Tile) string {
	return filepath.Join(string(t), strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
}

// checkTiles compares every tile with the hashes that the checkpoint's root proves, and each hash with what HashFromTile finds in it.
func checkTiles(folder string, tree tlog.Tree, hashes tlog.HashReader) error {
	reader := tiles(folder)
	for _, tile := range tlog.NewTiles(height, 0, tree.N) {
		proved, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		data, err := reader.ReadTiles([]tlog.Tile{tile})
		if err != nil {
			return err
		}
		if !bytes.Equal(proved, data[0]) {
			return fmt.Errorf("%s is not what the checkpoint proves", tile.Path())
		}
		for at := range tile.W {
			hash, err := tlog.HashFromTile(tile, data[0], tlog.StoredHashIndex(tile.L*height, tile.N<<height+int64(at)))
			if err != nil {
				return err
			}
			if !bytes.Equal(hash[:], data[0][at*tlog.HashSize:][:tlog.HashSize]) {
				return fmt.Errorf("%s has another hash at %d", tile.Path(), at)
			}
		}
	}
	return nil
}

// checkEntries reads every bundle, builds the tree of its entries anew, and proves some of them by RFC 6962's own proofs.
func checkEntries(folder string, tree tlog.Tree, hashes tlog.HashReader) error {
	var stored memory
	for start := int64(0); start < tree.N; start += width {
		count := min(width, tree.N-start)
		name := strings.Replace(tlog.Tile{H: height, L: 0, N: start / width, W: int(count)}.Path(), "tile/8/0/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		for at := range count {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("%s ends early", name)
			}
			size := 2 + int(binary.BigEndian.Uint16(data))
			entry := data[2:size]
			data = data[size:]
			more, err := tlog.StoredHashes(start+at, entry, stored)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
			if at == 0 || at == count-1 {
				if err := checkRecord(tree, start+at, entry, hashes); err != nil {
					return err
				}
			}
		}
		if len(data) != 0 {
			return fmt.Errorf("%s goes on after its last entry", name)
		}
	}
	root, err := tlog.TreeHash(tree.N, stored)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("the entries do not lead to the checkpoint")
	}
	return nil
}

func checkRecord(tree tlog.Tree, index int64, entry []byte, hashes tlog.HashReader) error {
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

// memory holds hashes in the order in which tlog stores them.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		if index >= int64(len(m)) {
			return nil, errors.New("a hash that is not there yet")
		}
		found = append(found, m[index])
	}
	return found, nil
}

func checkSince(path string, station note.Verifier, tree tlog.Tree, hashes tlog.HashReader) error {
	earlier, _, err := checkpoint(path, station, "")
	if err != nil {
		return err
	}
	if earlier.N > tree.N {
		return errors.New("the journal has fewer entries than it had")
	}
	if earlier.N == 0 {
		return nil // what tlog has no proof of, for there is nothing to prove
	}
	proof, err := tlog.ProveTree(tree.N, earlier.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, earlier.N, earlier.Hash)
}

func checkProof(path, file string, station note.Verifier) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, _ := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, _, err := open(rest, station, "")
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

// station is signature type 0x02 of signed-note: ECDSA, and an id that is the SHA-256 of the SPKI.
type station struct {
	name string
	id   uint32
	key  *ecdsa.PublicKey
}

func newStation(name, file string) (note.Verifier, error) {
	key, spki, err := public(file)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("the station's key is not ECDSA")
	}
	hash := sha256.Sum256(spki)
	return station{name, binary.BigEndian.Uint32(hash[:]), ec}, nil
}

func (s station) Name() string    { return s.name }
func (s station) KeyHash() uint32 { return s.id }
func (s station) Verify(msg, sig []byte) bool {
	hash := sha256.Sum256(msg)
	return ecdsa.VerifyASN1(s.key, hash[:], sig)
}

// witness is signature type 0x04: a time, and Ed25519 over a head line, the time and the note (tlog-cosignature).
type witness struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func newWitness(name, file string) (note.Verifier, error) {
	key, _, err := public(file)
	if err != nil {
		return nil, err
	}
	ed, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the cosigner's key is not Ed25519")
	}
	hash := sha256.Sum256(append([]byte(name+"\n\x04"), ed...))
	return witness{name, binary.BigEndian.Uint32(hash[:]), ed}, nil
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.id }
func (w witness) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(w.key, append([]byte(head), msg...), sig[8:])
}

func public(file string) (any, []byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, nil, errors.New("not PEM: " + base64.StdEncoding.EncodeToString(data))
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	return key, block.Bytes, err
}
