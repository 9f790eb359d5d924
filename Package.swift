// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "DebianGuest",
    products: [.library(name: "DebianGuest", targets: ["DebianGuest"])],
    targets: [
        .target(name: "DebianGuest", swiftSettings: [.treatAllWarnings(as: .error)]),
        .testTarget(
            name: "DebianGuestTests", dependencies: ["DebianGuest"], swiftSettings: [.treatAllWarnings(as: .error)]),
    ],
    swiftLanguageModes: [.v6]
)
