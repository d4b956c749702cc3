using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.VirtioIommu.Emulation.Functional;
using PasidFramework.Drivers.VirtioIommu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Drivers.VirtioIommu.Reader;

/// <summary>One attached table in memory. It keeps no memory of its own but the leaves that it has walked
/// through.</summary>
/// <remarks>Safe for concurrent use as far as the memory is.</remarks>
internal sealed class AttachedTableView : ITableView
{
    private readonly IMemoryReader _memory;
    private readonly DeviceTable _table;
    private readonly RequesterId? _endpoint;

    /// <summary>Opens a table; nothing is read yet.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="table">Where it is and how it looks; S1CDMax is at most 20.</param>
    /// <param name="endpoint">Whose it is; null for everybody's.</param>
    public AttachedTableView(IMemoryReader memory, DeviceTable table, RequesterId? endpoint)
    {
        _memory = memory;
        _table = table;
        _endpoint = endpoint;
    }

    /// <inheritdoc/>
    public IEnumerable<TableItem> Items(int maxItems = 1 << 20) => TableItems.TruncateWithFinding(
        All(), maxItems, Text($"there is more: this list ends after {maxItems} items"));

    /// <inheritdoc/>
    public TableWalk Walk(in DmaAccess access)
    {
        var steps = new List<TableStep>();
        WalkResult walk = Follow(access, steps);
        bool bypassed = walk.Status == TranslationStatus.Bypassed;
        FaultReason reason = walk.IsMapping ? FaultReason.Mapping : FaultReason.Domain;
        return new TableWalk(
            new TranslationResult(
                walk.Status,
                bypassed ? access.Address : walk.Address,
                walk.PageTableRoot,
                walk.Status == TranslationStatus.Faulted ? (int)reason : 0,
                walk.Reason),
            steps);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Describe(in ContextDescriptorImage descriptor, uint substream) =>
        descriptor.Objection(substream)
            ?? (descriptor.IsQuiet
                ? Text($"ASID 0x{descriptor.Asid:x}, translates nothing (EPD0), faults {Recorded(descriptor)}")
                : Text(
                    $"ASID 0x{descriptor.Asid:x}, TTB0 0x{descriptor.Ttb0:x}, {64 - descriptor.T0Sz} bits of address"));

    private static string Recorded(in ContextDescriptorImage descriptor) =>
        descriptor.Records ? "are recorded" : "are not recorded";

    private TableItem Finding(
        string structure,
        ulong address,
        IReadOnlyList<ulong> words,
        Pasid? pasid,
        string field,
        FormattableString what) =>
        new()
        {
            Kind = TableItemKind.Finding,
            Structure = structure,
            Address = address,
            Words = words,
            Requester = _endpoint,
            Pasid = pasid,
            Field = field,
            Text = Text(what),
        };

    private IEnumerable<TableItem> All()
    {
        string root = _table.S1Fmt == 0 ? ArmTables.DescriptorStructure : ArmTables.Level1Structure;
        int alignment = ArmTables.RootAlignmentLog2(_table);
        if ((_table.S1ContextPtr & ((1UL << alignment) - 1)) != 0)
        {
            yield return Finding(
                root,
                _table.S1ContextPtr,
                [],
                null,
                "S1ContextPtr",
                $"0x{_table.S1ContextPtr:x} is no multiple of 0x{1UL << alignment:x} (IHI 0070 5.2)");
        }

        long entries = ArmTables.RootEntries(_table);
        IEnumerable<TableItem> items = _table.S1Fmt == 0
            ? Descriptors(_table.S1ContextPtr, entries, 0)
            : FirstLevel(entries);
        foreach (TableItem item in items)
        {
            yield return item;
        }
    }

    private IEnumerable<TableItem> FirstLevel(long entries)
    {
        int leafBits = ArmTables.LeafBits(_table.S1Fmt);

        // A first level that is smaller than its width's leaf uses only the start of that leaf.
        long perLeaf = Math.Min(1L << leafBits, 1L << _table.S1CdMax);
        int leafBytes = ArmTables.DescriptorBytes << leafBits;
        var leaves = new Dictionary<ulong, long>();
        ulong? missing = null;
        for (long index = 0; index < entries; index++)
        {
            ulong at = _table.S1ContextPtr + ((ulong)index * 8);
            if (!_memory.IsBacked(at, 8))
            {
                missing ??= at;
                continue;
            }

            if (missing is { } hole)
            {
                missing = null;
                yield return NoMemory(ArmTables.Level1Structure, hole, null);
            }

            ulong word = _memory.ReadQword(at);
            if (word == 0)
            {
                continue;
            }

            var first = new Pasid((uint)(index << leafBits));
            ulong leaf = ArmTables.Leaf(word);
            bool isValid = ArmTables.IsLevel1Valid(word);
            yield return new TableItem
            {
                Kind = TableItemKind.Directory,
                Structure = ArmTables.Level1Structure,
                Address = at,
                Words = [word],
                Requester = _endpoint,
                Text = isValid ? Text($"leaf 0x{leaf:x} from PASID {first} on") : "not valid",
            };
            if (!isValid)
            {
                continue;
            }

            ulong reserved = ArmTables.Level1ReservedBits(word);
            if (reserved != 0)
            {
                yield return Finding(
                    ArmTables.Level1Structure, at, [word], null, "RSVD",
                    $"reserved bits are 0x{reserved:x}, must be 0");
            }

            if ((leaf & (ulong)(leafBytes - 1)) != 0)
            {
                yield return Finding(
                    ArmTables.Level1Structure, at, [word], null, "L2Ptr",
                    $"0x{leaf:x} is no multiple of 0x{leafBytes:x}");
            }

            if (leaf == (_table.S1ContextPtr & ~0xFFFUL) || !leaves.TryAdd(leaf, index))
            {
                string user = leaves.TryGetValue(leaf, out long other)
                    ? Text($"entry {other}") : "the first level itself";
                yield return Finding(
                    ArmTables.Level1Structure,
                    at,
                    [word],
                    null,
                    "L2Ptr",
                    $"0x{leaf:x} belongs to {user} already: it is not followed again");
                continue;
            }

            foreach (TableItem item in Descriptors(leaf, perLeaf, first.Value))
            {
                yield return item;
            }
        }

        if (missing is { } last)
        {
            yield return NoMemory(ArmTables.Level1Structure, last, null);
        }
    }

    private IEnumerable<TableItem> Descriptors(ulong table, long count, uint first)
    {
        ulong? missing = null;
        uint missingFrom = 0;
        var words = new ulong[ArmTables.DescriptorWords];
        for (long i = 0; i < count; i++)
        {
            ulong at = table + ((ulong)i * ArmTables.DescriptorBytes);
            uint substream = first + (uint)i;
            if (!_memory.IsBacked(at, ArmTables.DescriptorBytes))
            {
                missingFrom = missing is null ? substream : missingFrom;
                missing ??= at;
                continue;
            }

            if (missing is { } hole)
            {
                missing = null;
                yield return NoMemory(ArmTables.DescriptorStructure, hole, missingFrom);
            }

            if (!Load(at, words))
            {
                continue;
            }

            var pasid = new Pasid(substream);
            ulong[] copy = [.. words];
            var descriptor = new ContextDescriptorImage(copy);
            yield return new TableItem
            {
                Kind = TableItemKind.Pasid,
                Structure = ArmTables.DescriptorStructure,
                Address = at,
                Words = copy,
                Requester = _endpoint,
                Pasid = pasid,
                Text = descriptor.IsValid ? Describe(descriptor, substream) : "not valid",
            };
            if (!descriptor.IsValid)
            {
                continue;
            }

            foreach (TableItem finding in Wrong(at, copy, descriptor, pasid))
            {
                yield return finding;
            }
        }

        if (missing is { } last)
        {
            yield return NoMemory(ArmTables.DescriptorStructure, last, missingFrom);
        }
    }

    private IEnumerable<TableItem> Wrong(ulong at, ulong[] words, ContextDescriptorImage descriptor, Pasid pasid)
    {
        if (descriptor.Objection(pasid.Value) is { } objection)
        {
            yield return Finding(
                ArmTables.DescriptorStructure, at, words, pasid, descriptor.ObjectionField,
                $"{objection} (IHI 0070 5.4)");
        }

        ulong reserved = ContextDescriptorImage.ReservedBits(words);
        if (reserved != 0)
        {
            yield return Finding(
                ArmTables.DescriptorStructure, at, words, pasid, "RSVD",
                $"reserved bits are 0x{reserved:x}, must be 0");
        }

        if (descriptor.ObjectionField.Length == 0 && !descriptor.IsQuiet
            && !_memory.IsBacked(descriptor.FirstTable(out int first), 8))
        {
            yield return Finding(
                ArmTables.DescriptorStructure,
                at,
                words,
                pasid,
                "TTB0",
                $"the level {first} page table at 0x{descriptor.Ttb0:x} is not in memory");
        }
    }

    private TableItem NoMemory(string structure, ulong address, uint? substream) => Finding(
        structure,
        address,
        [],
        substream is { } number ? new Pasid(number) : null,
        "address",
        $"there is no memory from 0x{address:x} on");

    // Whether anything is in it.
    private bool Load(ulong address, ulong[] words)
    {
        ulong any = 0;
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = _memory.ReadQword(address + ((ulong)i * 8));
            any |= words[i];
        }

        return any != 0;
    }

    private WalkResult Follow(in DmaAccess access, List<TableStep> steps)
    {
        if (_endpoint is { } owner && owner != access.Requester)
        {
            return WalkResult.Configuration($"this is the table of endpoint {owner}, not of {access.Requester}");
        }

        if (ArmTables.Select(_table, access.Pasid, out uint substream) is { } end)
        {
            return end;
        }

        ulong address = _table.S1ContextPtr + ((ulong)substream * ArmTables.DescriptorBytes);
        if (_table.S1Fmt != 0)
        {
            int split = ArmTables.LeafBits(_table.S1Fmt);
            ulong at = _table.S1ContextPtr + ((ulong)(substream >> split) * 8);
            if (!_memory.IsBacked(at, 8))
            {
                return Missing(steps, ArmTables.Level1Structure, at, isMapping: false);
            }

            ulong level1 = _memory.ReadQword(at);
            bool isValid = ArmTables.IsLevel1Valid(level1);
            steps.Add(new TableStep(
                ArmTables.Level1Structure,
                at,
                [level1],
                isValid ? Text($"leaf 0x{ArmTables.Leaf(level1):x}") : "not valid"));
            if (!isValid)
            {
                return WalkResult.Configuration($"the level 1 descriptor of substream 0x{substream:x} is not valid");
            }

            address = ArmTables.Leaf(level1) + ((substream & ((1UL << split) - 1)) * ArmTables.DescriptorBytes);
        }

        if (!_memory.IsBacked(address, ArmTables.DescriptorBytes))
        {
            return Missing(steps, ArmTables.DescriptorStructure, address, isMapping: false);
        }

        var words = new ulong[ArmTables.DescriptorWords];
        _ = Load(address, words);
        var descriptor = new ContextDescriptorImage(words);
        string? objection = descriptor.Objection(substream);
        steps.Add(new TableStep(ArmTables.DescriptorStructure, address, words, Describe(descriptor, substream)));
        if (objection is not null)
        {
            return WalkResult.Configuration($"{objection}");
        }

        WalkResult result = descriptor.IsQuiet
            ? WalkResult.Mapping($"translation of substream 0x{substream:x} is switched off (EPD0)")
            : Translate(descriptor, access, steps);
        return result.Status == TranslationStatus.Faulted && !descriptor.Records
            ? new WalkResult(TranslationStatus.AbortedQuietly, result.PageTableRoot, false, null)
            : result;
    }

    private WalkResult Translate(in ContextDescriptorImage descriptor, in DmaAccess access, List<TableStep> steps)
    {
        var walk = new StageOneWalk(descriptor, access);
        if (walk.Refusal is { } refusal)
        {
            return refusal;
        }

        while (true)
        {
            ulong at = walk.EntryAddress;
            if (!_memory.IsBacked(at, 8))
            {
                return Missing(steps, ArmTables.EntryStructure, at, isMapping: true);
            }

            ulong word = _memory.ReadQword(at);
            var entry = new StageOneEntry(word, walk.Level);
            steps.Add(new TableStep(
                ArmTables.EntryStructure,
                at,
                [word],
                !entry.IsValid ? Text($"level {entry.Level}: not present")
                    : Text($"level {entry.Level}: {(entry.IsTable ? "table" : "memory")} 0x{entry.Address:x}")));
            if (walk.Take(entry) is { } result)
            {
                return result;
            }
        }
    }

    private static WalkResult Missing(List<TableStep> steps, string structure, ulong address, bool isMapping)
    {
        steps.Add(new TableStep(structure, address, [], "no memory is there"));
        return isMapping
            ? WalkResult.Mapping($"a page table entry is at 0x{address:x}, where no memory is")
            : WalkResult.Configuration($"the table is at 0x{address:x}, where no memory is");
    }
}
