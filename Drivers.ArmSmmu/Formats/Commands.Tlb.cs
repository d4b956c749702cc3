// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Formats;

// Arm IHI 0070 4.4 (translation caches).
internal static partial class Commands
{
    public const ulong TlbGranule4K = 1;

    public static Field NUM => new(16, 12, "NUM", "(NUM+1) * 2^SCALE granules");
    public static Field SCALE => new(24, 20, "SCALE", "(NUM+1) * 2^SCALE granules");
    public static Field VMID => new(47, 32, "VMID", "virtual machine");
    public static Field ASID => new(63, 48, "ASID", "address space");
    public static Field TTL => new(73, 72, "TTL", "level of the last-level entry, 0 unknown");
    public static Field TG => new(75, 74, "TG", "granule of the range");

    public static Field ADDR => new(127, 76, "ADDR", "first page");
    public static Field IPA => new(115, 76, "IPA", "first page");
    /// <summary>Forget every stage 1 translation of EL1 and of a VMID.</summary>
    public static SmmuCommand TlbiNhAll(uint vmid) => new((ulong)SmmuOpcode.TLBI_NH_ALL | Put(VMID, vmid), 0);

    /// <summary>Forget every translation of an ASID.</summary>
    public static SmmuCommand TlbiNhAsid(uint vmid, uint asid) =>
        new((ulong)SmmuOpcode.TLBI_NH_ASID | Put(VMID, vmid) | Put(ASID, asid), 0);

    /// <summary>Forget the translations of one page of an ASID, whatever their level.</summary>
    /// <param name="address">Byte address, a multiple of 4096.</param>
    public static SmmuCommand TlbiNhVa(uint vmid, uint asid, ulong address) =>
        new((ulong)SmmuOpcode.TLBI_NH_VA | Put(VMID, vmid) | Put(ASID, asid), address);

    /// <summary>Forget the translations of a range (IDR3.RIL).</summary>
    /// <param name="address">Byte address, a multiple of 4096.</param>
    /// <param name="num">Pages are (num + 1) * 2^scale; 0 to 31.</param>
    /// <param name="scale">0 to 31.</param>
    /// <param name="ttl">Level of the last-level entry, 0 if unknown.</param>
    public static SmmuCommand TlbiNhVaRange(
        uint vmid, uint asid, ulong address, int num, int scale, bool leaf = false, int ttl = 0) => new(
            (ulong)SmmuOpcode.TLBI_NH_VA
                | Put(NUM, (ulong)num) | Put(SCALE, (ulong)scale) | Put(VMID, vmid) | Put(ASID, asid),
            address | Put(TG, TlbGranule4K) | Put(TTL, (ulong)ttl) | Put(Leaf, leaf ? 1UL : 0));

    /// <summary>Forget every translation of the Non-secure EL1 and EL2 regimes that are not EL2's own.</summary>
    public static SmmuCommand TlbiNsnhAll() => new((ulong)SmmuOpcode.TLBI_NSNH_ALL, 0);

    // "TG != 0 with NUM = SCALE = TTL = 0" is illegal (4.4.1).
    private static bool IsRangeLegal(ReadOnlySpan<ulong> words) =>
        words.Get(TG) == 0 || (words.Get(NUM) | words.Get(SCALE) | words.Get(TTL)) != 0;

    private static bool UsesRange(ReadOnlySpan<ulong> words) =>
        (words.Get(TG) | words.Get(NUM) | words.Get(SCALE) | words.Get(TTL)) != 0;

    private static void CheckRange(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (!IsRangeLegal(words))
        {
            found.Add(TG, "is not 0 while NUM, SCALE and TTL are: CERROR_ILL (4.4.1)");
        }
    }

    private static LayoutField[] RangeFields() =>
    [
        Reserved(11, 8), NUM, Reserved(19, 17), SCALE, Reserved(31, 25),
        Value(Leaf, "only last-level translations"),
        Reserved(71, 65), TTL,
        Value(TG, (0, "one page, no range"), (1, "4 KiB"), (2, "16 KiB"), (3, "64 KiB")),
    ];

    private static Layout[] TlbLayouts() =>
    [
        Declare("tlbi_nh_all", SmmuOpcode.TLBI_NH_ALL, "4", [Reserved(31, 8), VMID, Reserved(127, 48)]),
        Declare("tlbi_nh_asid", SmmuOpcode.TLBI_NH_ASID, "4", [
            Reserved(31, 8), VMID, ASID, Reserved(127, 64)]),
        Declare("tlbi_nh_va", SmmuOpcode.TLBI_NH_VA, "4", [
            .. RangeFields(), VMID, ASID, Address(ADDR)], CheckRange),
        Declare("tlbi_nh_vaa", SmmuOpcode.TLBI_NH_VAA, "4", [
            .. RangeFields(), VMID, Reserved(63, 48), Address(ADDR)], CheckRange),
        Declare("tlbi_el2_all", SmmuOpcode.TLBI_EL2_ALL, "4", [Reserved(127, 8)]),
        Declare("tlbi_el2_asid", SmmuOpcode.TLBI_EL2_ASID, "4", [Reserved(47, 8), ASID, Reserved(127, 64)]),
        Declare("tlbi_el2_va", SmmuOpcode.TLBI_EL2_VA, "4", [
            .. RangeFields(), Reserved(47, 32), ASID, Address(ADDR)], CheckRange),
        Declare("tlbi_el2_vaa", SmmuOpcode.TLBI_EL2_VAA, "4", [
            .. RangeFields(), Reserved(63, 32), Address(ADDR)], CheckRange),
        Declare("tlbi_s12_vmall", SmmuOpcode.TLBI_S12_VMALL, "4", [Reserved(31, 8), VMID, Reserved(127, 48)]),
        Declare("tlbi_s2_ipa", SmmuOpcode.TLBI_S2_IPA, "4", [
            .. RangeFields(), VMID, Reserved(63, 48), Address(IPA), Reserved(127, 116)], CheckRange),
        Declare("tlbi_nsnh_all", SmmuOpcode.TLBI_NSNH_ALL, "4", [Reserved(127, 8)]),
    ];
}
