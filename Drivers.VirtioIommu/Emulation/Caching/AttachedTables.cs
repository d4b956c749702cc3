// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>The tables of domains as the driver stores them, and the rules of storing: what a walker may see between
/// two stores, and what it is sure to see (D2, D3). Not safe for concurrent use.</summary>
internal sealed class AttachedTables(ModelMemory memory, ViolationLog log, AttachedStructures? arm)
{
    private readonly Dictionary<uint, DeviceTable> _tables = [];
    private readonly HashSet<(uint Domain, ulong Address, ulong Word)> _linked = [];
    public IReadOnlyDictionary<uint, DeviceTable> All => _tables;

    public void Reset()
    {
        _tables.Clear();
        _linked.Clear();
    }

    public void Ended(uint domain)
    {
        _tables.Remove(domain);
        _linked.RemoveWhere(link => link.Domain == domain);
    }

    public void Created(DeviceDomain domain)
    {
        if (domain.Table is not { } table)
        {
            return;
        }

        _tables[domain.Id] = table;
        int alignment = table.RootAlignmentLog2;
        if ((table.S1ContextPtr & ((1UL << alignment) - 1)) != 0)
        {
            log.Report("virtio-table-alignment",
                $"table 0x{table.S1ContextPtr:x} of domain {domain.Id} is no multiple of 2^{alignment} (IHI 0070 5.2)");
        }

        long bytes = table.RootBytes;
        if (!memory.IsBacked(table.S1ContextPtr, bytes))
        {
            log.Report("virtio-table-memory",
                $"table 0x{table.S1ContextPtr:x} of domain {domain.Id} has {bytes} bytes that are not all memory");
        }
    }

    /// <summary>Looks at level 1 descriptors that the device may see from now on: what one leads to must be sure to be
    /// seen (D3).</summary>
    /// <param name="change">A store, or a flush for a device that does not snoop.</param>
    /// <returns>Whether it is the first that leads to a leaf whose contents are all settled.</returns>
    public bool LinksLeaf(in MemoryEvent change)
    {
        bool links = false;
        foreach ((uint domain, DeviceTable table) in _tables)
        {
            if (table.S1Fmt == 0)
            {
                continue;
            }

            ulong end = table.S1ContextPtr + (ulong)table.RootBytes;
            ulong first = Math.Max(change.Address & ~7UL, table.S1ContextPtr);
            ulong last = Math.Min(change.Address + (ulong)change.Bytes, end);
            for (ulong at = first; at < last; at += 8)
            {
                links |= Links(domain, table, at, memory.ReadQword(at));
            }
        }

        return links;
    }

    /// <summary>Whether the device is sure to see what the driver stored for a PASID.</summary>
    public bool IsSettled(in DeviceTable table, uint substream)
    {
        ulong? descriptor = FindStored(table, substream, out ulong? level1);
        return (level1 is not { } at || memory.FindUnsettled(at, 8) is null)
            && (descriptor is not { } address
                || memory.FindUnsettled(address, AttachedStructures.DescriptorBytes) is null);
    }

    /// <summary>Where the driver has the descriptor of a PASID; null where it has none.</summary>
    public ulong? FindDescriptor(in DeviceTable table, uint substream) => FindStored(table, substream, out _);

    public bool HasDescriptor(in DeviceTable table, uint substream) => Stored(table, substream).IsValid;

    // Whether a level 1 descriptor is new and leads to a leaf whose contents are all settled.
    public bool Links(uint domain, in DeviceTable table, ulong at, ulong level1) => IsValidLink(level1)
        && _linked.Add((domain, at, level1)) && IsLeafSettled(table, Leaf(level1));

    public bool IsValidLink(ulong level1) => (level1 & arm!.LinkV.WordMask) != 0;
    public ulong Leaf(ulong level1) => level1 & arm!.LinkL2Ptr.WordMask;

    public void CheckTornReads(in DeviceTable table, uint substream)
    {
        if (FindStored(table, substream, out _) is { } address && IsSettled(table, substream))
        {
            CheckTornReads(address, substream);
        }
    }

    public AttachedDescriptor Stored(in DeviceTable table, uint substream)
    {
        Span<ulong> words = stackalloc ulong[AttachedStructures.DescriptorWords];
        words.Clear();
        for (int i = 0; i < words.Length && FindStored(table, substream, out _) is { } address; i++)
        {
            words[i] = memory.ReadQword(address + ((ulong)i * 8));
        }

        return new AttachedDescriptor(arm!, words);
    }

    // Where the driver has a descriptor; null where it has none.
    private ulong? FindStored(in DeviceTable table, uint substream, out ulong? level1)
    {
        level1 = null;
        ulong address = table.S1ContextPtr + ((ulong)substream * AttachedStructures.DescriptorBytes);
        if (table.S1Fmt != 0)
        {
            int split = table.LeafBits;
            ulong at = table.S1ContextPtr + ((ulong)(substream >> split) * 8);
            if (!memory.IsBacked(at, 8))
            {
                return null;
            }

            level1 = at;
            ulong word = memory.ReadQword(at);
            if (!IsValidLink(word))
            {
                return null;
            }

            address = Leaf(word) + ((substream & ((1UL << split) - 1)) * AttachedStructures.DescriptorBytes);
        }

        return memory.IsBacked(address, AttachedStructures.DescriptorBytes) ? address : null;
    }

    private bool IsLeafSettled(in DeviceTable table, ulong leaf)
    {
        int bytes = AttachedStructures.DescriptorBytes << table.LeafBits;
        if (!memory.IsBacked(leaf, bytes))
        {
            log.Report("virtio-table-memory", $"the leaf 0x{leaf:x} has {bytes} bytes that are not all memory");
            return false;
        }

        if (memory.FindUnsettled(leaf, bytes) is { } at)
        {
            log.Report(
                "virtio-leaf-order", $"the first level leads to 0x{leaf:x} before 0x{at:x} is sure to be seen (D3)");
            return false;
        }

        return true;
    }

    // A walker reads a descriptor word by word while the driver stores. Whatever mixture of words it may have met since
    // the last invalidation must lead nowhere, as the descriptor did before, or as it does now (D2): now is what is
    // seen, or what the driver has stored and is on its way.
    public void CheckTornReads(ulong address, uint substream)
    {
        Span<ulong> words = stackalloc ulong[2 * AttachedStructures.DescriptorWords];
        Span<ulong> storedWords = words[AttachedStructures.DescriptorWords..];
        for (int i = 0; i < storedWords.Length; i++)
        {
            words[i] = memory.Device.ReadQword(address + ((ulong)i * 8));
            storedWords[i] = memory.ReadQword(address + ((ulong)i * 8));
        }

        var seen = new AttachedDescriptor(arm!, words);
        var stored = new AttachedDescriptor(arm!, storedWords);
        var mixtures = new List<AttachedDescriptor>();
        bool torn = false;
        try
        {
            _ = memory.ForEachTornRead(
                address, AttachedStructures.DescriptorWords, mix => mixtures.Add(new AttachedDescriptor(arm!, mix)));

            // The first mixture has every word's oldest value, the last the newest: the driver may have stored
            // meanwhile.
            torn =
                mixtures.Exists(image => image.IsValid && !image.TranslatesLike(seen) && !image.TranslatesLike(stored)
                && !image.TranslatesLike(mixtures[0]) && !image.TranslatesLike(mixtures[^1]));
        }
        catch (InvalidOperationException)
        {
            // Too many to look at: far more stores than any order of writing needs.
            torn = true;
        }

        if (torn)
        {
            log.Report("virtio-torn-descriptor",
                $"a walker may read a mixture of the descriptor of substream 0x{substream:x} (IHI 0070 3.21, D2)");
        }
    }
}
