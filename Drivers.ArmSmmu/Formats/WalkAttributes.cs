// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>
/// How descriptors and page tables are fetched: one coding in STE and CD, for stage 1 and stage 2 (Arm IHI 0070 5.2,
/// 5.4).
/// </summary>
internal static class WalkAttributes
{
    /// <summary>Write-back, read- and write-allocate.</summary>
    public const ulong WriteBack = 1;

    public const ulong InnerShareable = 3;

    /// <summary>Names of the values of a cacheability field.</summary>
    public static readonly (ulong Value, string Name)[] Cacheability =
    [
        (0, "not cacheable"), (WriteBack, "write-back, allocate"), (2, "write-through"), (3, "write-back, no allocate"),
    ];

    /// <summary>Names of the values of a shareability field.</summary>
    public static readonly (ulong Value, string Name)[] Shareability =
        [(0, "non"), (2, "outer"), (InnerShareable, "inner")];
}
