// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>
/// The version of the driver contract. Members are added as default members only, so a driver of the same major version
/// and an older minor one keeps working; a newer minor one is refused with a reason.
/// </summary>
public static class DriverContract
{
    /// <summary>Changes that break drivers.</summary>
    public const int Major = 1;

    /// <summary>Additions.</summary>
    public const int Minor = 0;
}
