// What Debian is given to do: shell functions, one a row. Each prints what it came to, of which a checksum is compared, and
// uses nothing but its programs and what `setUp` has made.

/// A row of the table.
struct Workload {
    var name: String
    /// Programs without which it is left out.
    var programs: [String]
    /// The body of a shell function.
    var body: String

    static let all = [
        Workload(
            name: "shell-loop", programs: [],
            body: """
                i=0 s=0
                while [ $i -lt 60000 ]; do i=$((i + 1)); s=$(((s * 31 + i) % 65521)); done
                echo $s
                """),
        Workload(
            name: "fork-wait", programs: [],
            body: """
                i=0
                while [ $i -lt 300 ]; do (exit $((i & 1))) || s=$((s + 1)); i=$((i + 1)); done
                echo $s
                """),
        Workload(
            name: "fork-exec", programs: ["env"],
            body: """
                i=0
                while [ $i -lt 150 ]; do env true && s=$((s + 1)); i=$((i + 1)); done
                echo $s
                """),
        Workload(
            name: "pipes", programs: ["grep", "tr"],
            body: """
                i=0
                while [ $i -lt 40 ]; do echo "a$i" | tr a b | grep -c 1; i=$((i + 1)); done
                """),
        Workload(name: "sort", programs: ["sort"], body: "sort numbers"),
        Workload(
            name: "gzip", programs: ["gzip"], body: "gzip -6 -c <text >text.gz; gzip -d -c <text.gz; wc -c <text.gz"),
        Workload(
            name: "python3", programs: ["python3"],
            body: """
                python3 -S -c '
                import json
                words = {}
                for line in open("text"):
                    for word in line.split(): words[word] = words.get(word, 0) + 1
                print(len(json.dumps(words)), max(words.values()))
                x = 1
                for i in range(120000): x = (x * 31 + i) % 65521
                print(x, sum(1.0 / (i * i) for i in range(1, 40000)))
                print(sorted(str(i * 7919 % 10007) for i in range(15000))[::1500])'
                """),
        Workload(
            name: "openssl", programs: ["openssl"],
            body: """
                openssl dgst -sha256 <text
                openssl enc -aes-128-cbc -K 000102030405060708090a0b0c0d0e0f -iv 00 -in text 2>/dev/null | openssl dgst -sha512
                openssl prime 170141183460469231731687303715884105727
                openssl prime -hex 1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
                """),
        Workload(
            name: "sqlite3", programs: ["sqlite3"],
            body: """
                sqlite3 :memory: "
                create table t(a integer primary key, b integer, c text);
                with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
                    insert into t select i, (i * 7919) % 10007, 'row ' || (i % 97) from n;
                create index tb on t(b);
                select count(*), sum(b), max(c) from t where b between 1000 and 5000;
                select c, avg(b) from t group by c order by 2 limit 5;
                select count(*) from t x join t y on x.b = y.a;"
                """),
        Workload(name: "gcc", programs: ["gcc"], body: "gcc -O2 -S -o - program.c"),
    ]

    /// Makes the files that workloads read, without the clock running.
    private static let setUp = """
        cd /tmp
        awk 'BEGIN {
            x = 1
            for (i = 0; i < 20000; i++) { x = (x * 1103 + 12345) % 1048573; print x }
        }' >numbers
        awk '{ printf "%s", $1 % 997 " the " $1 % 13 " of line" NR % 50; if (NR % 6) printf " "; else print "" }' numbers >text
        cat >program.c <<'END'
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        struct node { struct node *left, *right; long key; char name[24]; };
        static struct node *insert(struct node *n, long key) {
            if (!n) {
                n = calloc(1, sizeof *n);
                n->key = key;
                snprintf(n->name, sizeof n->name, "%ld", key);
            } else if (key < n->key) n->left = insert(n->left, key);
            else n->right = insert(n->right, key);
            return n;
        }
        static long sum(const struct node *n) { return n ? sum(n->left) + n->key * (long)strlen(n->name) + sum(n->right) : 0; }
        static void transform(double *a, int n) {
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++) a[i * n + j] = a[j * n + i] * 0.5 + (double)(i ^ j);
        }
        int main(int argc, char **argv) {
            struct node *root = NULL;
            double a[64 * 64] = {0};
            for (long i = 0; i < 1000; i++) root = insert(root, i * 7919 % 1009);
            transform(a, 64);
            switch (argc) { case 1: puts("one"); break; case 2: puts(argv[1]); break; case 3: puts("three"); break; default: abort(); }
            printf("%ld %f\\n", sum(root), a[77]);
            return 0;
        }
        END
        """

    /// The whole script. It prints `begin: NAME` and `end: NAME` around each row, then `result: NAME CHECKSUM`, or
    /// `absent: NAME`.
    static func script(_ workloads: [Workload]) -> String {
        var text = setUp + "\n"
        for (index, workload) in workloads.enumerated() {
            let needs = (["awk", "md5sum"] + workload.programs).map { "command -v \($0) >/dev/null" }
            text += """
                work\(index)() {
                \(workload.body)
                }
                if \(needs.joined(separator: " && ")); then
                    echo 'begin: \(workload.name)'
                    s=0
                    work\(index) </dev/null >out 2>&1
                    echo 'end: \(workload.name)'
                    echo "result: \(workload.name) $(md5sum <out | cut -c 1-32)"
                else
                    echo 'absent: \(workload.name)'
                fi

                """
        }
        return text + "exit 0\n"
    }
}
