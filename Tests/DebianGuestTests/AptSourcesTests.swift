// Sources files and apt's description of them.

import DebianGuest
import Testing

@Suite struct AptSourcesTests {
    private let target = AptIndexTarget.parse([
        "Created-By: Packages", "Component: main", "Release: stable", "Repo-URI: mirror://m/debian/",
        "Sourcesentry: /etc/apt/a:b.sources:1", "Codename: name", "",
        "Created-By: Translations", "Component: main", "Release: stable", "Repo-URI: mirror://m/debian/", "",
        "Created-By: Packages", "Component: main", "Release: stable-backports", "Repo-URI: mirror://m/debian/", "",
        "Created-By: Packages", "Component: main", "Release: stable", "Repo-URI: x://y/", "Origin: Third",
    ])

    @Test func readsTargets() throws {
        #expect(target.count == 4)
        #expect(target[0].file == "/etc/apt/a:b.sources")
        #expect(target.map(\.mayBeDebian) == [true, false, false, false])
    }

    @Test func readsLines() throws {
        let text =
            "# deb mirror://m/debian stable main\n\ndeb  [signed-by=/k arch=amd64]\tmirror://m/debian stable main contrib # x\ndeb-src mirror://m/debian stable main\r\ndeb x://y stable main\n"
        let entries = AptSourceEntry.parse(text, path: "a.list")
        #expect(entries.map { $0.declares(target[0]) } == [true, false])
        #expect(
            entries[0].with(suite: "name-backports")?.text
                == "deb [signed-by=/k arch=amd64] mirror://m/debian name-backports main")
        #expect(AptSourceEntry.parse("deb [a=b\n", path: "a.list").map { $0.with(suite: "s") } == [nil])
    }

    @Test func readsStanzas() throws {
        let text =
            "# comment\n\nTypes: deb deb-src\nURIs: mirror://m/debian/\nSuites: stable\n stable-updates\n# more\nComponents: main\n contrib\nSigned-By:\n -----BEGIN\n .\n key\n \t\n\nTypes: deb\nURIs: x://y\nSuites: stable\nComponents: main\n"
        let entries = AptSourceEntry.parse(text, path: "a.sources")
        #expect(entries.map { $0.declares(target[0]) } == [true, false])
        #expect(
            entries[0].with(suite: "name-backports")?.text
                == "Types: deb\nSuites: name-backports\nComponents: main\nURIs: mirror://m/debian/\nSigned-By:\n -----BEGIN\n .\n key"
        )
    }
}
