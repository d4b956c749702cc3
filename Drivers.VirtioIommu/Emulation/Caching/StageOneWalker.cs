// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>A translation's tags. Hardware compares all of them; a global one has every ASID, written as 0.</summary>
internal readonly record struct EntryTag(uint Domain, uint Substream, uint Asid, bool IsGlobal)
{
    public override string ToString() => IsGlobal ? "global" : $"ASID {Asid}";
}

/// <summary>An entry of a page table that is kept.</summary>
/// <param name="Level">Level of its table, 1 the lowest.</param>
/// <param name="Rights">What it and all entries above it grant.</param>
internal readonly record struct KeptEntry(ulong Word, int Level, bool IsTable, PageRights Rights);

/// <summary>Walks stage 1 page tables with a 4 KiB granule (VMSAv8-64: Arm IHI 0070 3.4, DDI 0487 D8) and keeps their
/// entries, tables and leaves alike. Not safe for concurrent use.</summary>
internal sealed class StageOneWalker(ModelMemory memory, ViolationLog log, int maxEntries)
{
    // Arm counts levels from the top: 3 is the last.
    private const int ArmLevelOfZero = 4;

    public static RadixFormat Format => ArmPageTables.Granule4K;

    public TranslationCache<EntryTag, KeptEntry> Kept { get; } = new("TLB", maxEntries)
    {
        NameOf = (_, entry) => entry.IsTable ? "walk cache" : "TLB",
        Describe = (key, entry) => (
            $"domain {key.Tag.Domain}, PASID 0x{key.Tag.Substream:x}, {key.Tag}, level {ArmLevelOfZero - entry.Level}, "
                + $"address 0x{key.First:x}",
            $"0x{entry.Word:x16}"),
    };

    /// <param name="descriptor">A descriptor that hardware accepts and that translates.</param>
    public WalkResult Translate(uint domain, uint substream, in AttachedDescriptor descriptor, in DmaAccess access)
    {
        ulong address = descriptor.IgnoresTopByte ? access.Address & (ulong.MaxValue >> 8) : access.Address;
        int inputBits = 64 - descriptor.T0Sz;
        if (address >> inputBits != 0)
        {
            return WalkResult.Mapping($"address 0x{access.Address:x} is beyond the {inputBits} bits of T0SZ");
        }

        var walk = new Walk(this, new EntryTag(domain, substream, descriptor.Asid, false), descriptor, access, address);
        ulong table = descriptor.FirstTable(out int top);
        int level = top;
        PageRights rights = PageRights.All;

        // A leaf that is kept is used whatever has become of the way to it; then the lowest table that is kept.
        for (int at = top; at > 0; at--)
        {
            if (walk.Find(at) is { IsTable: true } kept)
            {
                (table, level, rights) = (Format.TableOf(kept.Word), at - 1, kept.Rights);
            }
        }

        for (int at = 1; at <= top; at++)
        {
            if (walk.Find(at) is { IsTable: false } leaf)
            {
                walk.CheckAttributes(leaf);
                return walk.Reach(leaf);
            }
        }

        PageWalker.Walk(Format, table, level, address & Format.LowBits(level + 1), rights, ref walk);
        return walk.Result;
    }

    private ref struct Walk(
        StageOneWalker walker, EntryTag tag, in AttachedDescriptor descriptor, in DmaAccess access, ulong address)
        : IPageWalk
    {
        private readonly AttachedDescriptor _descriptor = descriptor;
        private readonly DmaAccess _access = access;

        public WalkResult Result { get; private set; }

        public readonly KeptEntry? Find(int level)
        {
            int shift = Format.Shift(level);
            return walker.Kept.TryGet(TranslationKey.Of(tag, address, shift), out KeptEntry entry)
                || walker.Kept.TryGet(
                    TranslationKey.Of(tag with { Asid = 0, IsGlobal = true }, address, shift), out entry)
                ? entry
                : null;
        }

        public bool Read(in WalkStep step, out ulong entry)
        {
            bool isBacked = walker.Memory.IsBacked(step.Address, 8);
            entry = isBacked ? walker.Memory.ReadQword(step.Address) : 0;
            if (!isBacked)
            {
                walker.Log.Report(
                    "virtio-stray-read", $"a page table entry is at 0x{step.Address:x}, where no memory is");
                Result = WalkResult.Mapping($"a page table entry is at 0x{step.Address:x}, where no memory is");
            }

            return isBacked;
        }

        public WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights)
        {
            int level = ArmLevelOfZero - step.Level;
            if (kind == EntryKind.Empty)
            {
                Result = WalkResult.Mapping($"address 0x{_access.Address:x} is not mapped (level {level})");
                return WalkNext.End;
            }

            bool isTable = kind == EntryKind.Table;
            const ulong UpperReserved = 3UL << 48;
            const ulong BlockReserved = 0xFUL << 17;
            if ((entry & (UpperReserved | (isTable || step.Level == 1 ? 0 : BlockReserved))) != 0)
            {
                walker.Log.Report("virtio-reserved-bits",
                    $"level {level} entry 0x{entry:x} at 0x{step.Address:x} has reserved bits set (DDI 0487 D8.3)");
            }

            rights = isTable && _descriptor.IgnoresHierarchy ? PageRights.All : rights;
            var kept = new KeptEntry(entry, step.Level, isTable, rights);
            if (!isTable)
            {
                CheckAttributes(kept);
            }

            // Everything that is present is kept, but an access flag fault never is (DDI 0487 D8.12).
            if (isTable || !FaultsOnAccess(entry))
            {
                bool isGlobal = !isTable && (entry & ArmStage1Entry.NG.WordMask) == 0;
                walker.Kept.Keep(
                    isGlobal ? tag with { Asid = 0, IsGlobal = true } : tag, address, Format.Shift(step.Level), kept);
            }

            ulong output = isTable ? Format.TableOf(entry) : Format.PageOf(entry, step.Level);
            if (output >> _descriptor.AddressBits != 0)
            {
                Result = WalkResult.Mapping($"0x{output:x} is outside of the output size, IPS {_descriptor.Ips}");
                return WalkNext.End;
            }

            Result = isTable ? default : Reach(kept);
            return WalkNext.Descend;
        }

        public readonly WalkResult Reach(in KeptEntry leaf) =>
            FaultsOnAccess(leaf.Word)
                ? WalkResult.Mapping($"address 0x{_access.Address:x} has never been accessed (AF is 0)")

            // Requests with a PASID are a process's own: unprivileged.
            : (leaf.Rights & PageRights.User) == 0
                ? WalkResult.Mapping($"address 0x{_access.Address:x} is not for user accesses (AP1 is 0)")
            : _access.IsWrite && (leaf.Rights & PageRights.Write) == 0
                ? WalkResult.Mapping($"address 0x{_access.Address:x} is read only (AP2 is 1)")
            : new WalkResult(
                TranslationStatus.Translated,
                _descriptor.Ttb0,
                false,
                null,
                Format.PageOf(leaf.Word, leaf.Level) + (address & Format.LowBits(leaf.Level)));

        // A process's memory is Normal memory (DDI 0487 B2.7): as Device memory it would bypass the caches of the CPU.
        public readonly void CheckAttributes(in KeptEntry leaf)
        {
            int attribute = (int)((ReadOnlySpan<ulong>)[leaf.Word]).Get(ArmStage1Entry.AttrIndx);
            if (_descriptor.IsDeviceMemory(attribute))
            {
                ulong page = Format.PageOf(leaf.Word, leaf.Level);
                walker.Log.Report("virtio-device-memory",
                    $"page 0x{page:x} has attribute {attribute}, which MAIR makes Device memory");
            }
        }

        private readonly bool FaultsOnAccess(ulong leaf) =>
            (leaf & ArmStage1Entry.AF.WordMask) == 0 && !_descriptor.IgnoresAccessFlag;
    }

    private IMemoryReader Memory => memory.Device;
    private ViolationLog Log => log;
}
