// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Formats;

// Arm IHI 0070 4.2 (prefetch) and 4.3 (configuration caches).
internal static partial class Commands
{
    /// <summary>Range of CFGI_STE_RANGE that means every StreamID.</summary>
    public const ulong RangeAll = 31;

    /// <summary>CFGI_STE_RANGE: 2^(Range+1) StreamIDs; 31 is all.</summary>
    public static Field Range => new(68, 64, "Range");

    /// <summary>Forget the stream table entry of a StreamID and every context descriptor reached through it.</summary>
    /// <param name="leaf">Only the entry, not the first-level descriptor.</param>
    public static SmmuCommand CfgiSte(uint sid, bool leaf) =>
        new((ulong)SmmuOpcode.CFGI_STE | Put(SID, sid), Put(Leaf, leaf ? 1UL : 0));

    /// <summary>Forget the stream table entries of 2^(range+1) StreamIDs.</summary>
    /// <param name="sid">A StreamID of the range.</param>
    /// <param name="range">0 to 30.</param>
    public static SmmuCommand CfgiSteRange(uint sid, int range) =>
        new((ulong)SmmuOpcode.CFGI_STE_RANGE | Put(SID, sid), Put(Range, (ulong)range));

    /// <summary>Forget all configuration.</summary>
    public static SmmuCommand CfgiAll() => new((ulong)SmmuOpcode.CFGI_STE_RANGE, Put(Range, RangeAll));

    /// <summary>Forget one context descriptor of one StreamID.</summary>
    /// <param name="sid">StreamID: descriptor caches are keyed by StreamID and SubstreamID.</param>
    /// <param name="leaf">Only the descriptor, not the first-level one.</param>
    public static SmmuCommand CfgiCd(uint sid, uint ssid, bool leaf) =>
        new((ulong)SmmuOpcode.CFGI_CD | Put(SSID, ssid) | Put(SID, sid), Put(Leaf, leaf ? 1UL : 0));

    /// <summary>Forget every context descriptor of a StreamID.</summary>
    public static SmmuCommand CfgiCdAll(uint sid) => new((ulong)SmmuOpcode.CFGI_CD_ALL | Put(SID, sid), 0);

    // One opcode, two ids. cfgi_ste_range takes every Range, as the hardware does, and names 31 what it is; cfgi_all
    // implies 31 and reports another one. In neither is the SID of a CFGI_ALL a violation.
    private static Layout[] ConfigurationLayouts() =>
    [
        Declare("prefetch_cfg", SmmuOpcode.PREFETCH_CFG, "2", [
            Reserved(10, 8), Value(SSV, "SSID counts"), SSID, SID, Reserved(127, 64)]),
        Declare("cfgi_ste", SmmuOpcode.CFGI_STE, "3", [
            Reserved(31, 8), SID,
            Value(Leaf, "only the entry, not the first-level descriptor"),
            Reserved(127, 65)]),
        Declare("cfgi_ste_range", SmmuOpcode.CFGI_STE_RANGE, "3", [
            Reserved(31, 8), SID,
            Value(Range, "2^(Range+1) StreamIDs", (RangeAll, "all: CFGI_ALL, SID has no meaning")).Reads(
                range => range == RangeAll ? null : Text($"{2L << (int)range} StreamIDs")),
            Reserved(127, 69)]),
        Declare("cfgi_all", SmmuOpcode.CFGI_STE_RANGE, "3", [
            Reserved(31, 8), Ignored(63, 32, "StreamID, of no meaning here"), Fixed(Range, RangeAll, "all StreamIDs"),
            Reserved(127, 69)]),
        Declare("cfgi_cd", SmmuOpcode.CFGI_CD, "3", [
            Reserved(11, 8), SSID, SID,
            Value(Leaf, "only the descriptor, not the first-level one"),
            Reserved(127, 65)]),
        Declare("cfgi_cd_all", SmmuOpcode.CFGI_CD_ALL, "3", [Reserved(31, 8), SID, Reserved(127, 64)]),
    ];
}
