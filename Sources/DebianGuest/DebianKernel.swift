// Which of Debian's kernels a guest boots, by the names under which apt knows them.

/// A choice of Debian's kernels for this machine's own release of Debian.
public enum DebianKernel: String, CaseIterable, Sendable {
    /// The kernel for virtual machines.
    case cloud
    /// The same of the backports suite, which is newer.
    case cloudBackports = "cloud-backports"
    /// The kernel for any PC.
    case general
    /// The same of the backports suite.
    case generalBackports = "general-backports"

    /// The metapackage whose dependency is the kernel.
    var metapackage: String {
        switch self {
        case .cloud, .cloudBackports: "linux-image-cloud-amd64"
        case .general, .generalBackports: "linux-image-amd64"
        }
    }

    /// The suite that it is taken from.
    var suite: AptSuite {
        switch self {
        case .cloud, .general: .release
        case .cloudBackports, .generalBackports: .backports
        }
    }
}

/// Which of the archive's suites apt is asked for.
enum AptSuite: String {
    /// The release that this machine's apt is configured with, its updates included.
    case release
    /// That release's backports, whether this machine uses them or not.
    case backports
}
