// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// The links of a domain by PASID, in leaves of 1,024; an empty leaf is used again for other PASIDs. Read without a
/// lock: what is found is checked under the gate of its process.
/// </summary>
internal sealed class LinkTable(int pasidBits)
{
    private const int LeafBits = 10;
    private readonly LinkRecord?[]?[] _leaves = new LinkRecord?[]?[LeavesFor(pasidBits)];

    private readonly short[] _used = new short[LeavesFor(pasidBits)];
    private readonly Stack<LinkRecord?[]> _spare = [];

    /// <summary>The link with a PASID; null also for a PASID beyond the table.</summary>
    public LinkRecord? this[Pasid pasid]
    {
        get
        {
            LinkRecord?[]?[] leaves = _leaves;
            uint leaf = pasid.Value >> LeafBits;
            LinkRecord?[]? found = leaf < (uint)leaves.Length ? Volatile.Read(ref leaves[leaf]) : null;
            return found is null ? null : Volatile.Read(ref found[pasid.Value & ((1 << LeafBits) - 1)]);
        }
    }

    /// <summary>Enters a link where there is none; the domain's gate is held.</summary>
    public void Add(Pasid pasid, LinkRecord link)
    {
        ref LinkRecord?[]? leaf = ref _leaves[pasid.Value >> LeafBits];
        if (leaf is null)
        {
            Volatile.Write(ref leaf, _spare.TryPop(out LinkRecord?[]? spare) ? spare : new LinkRecord?[1 << LeafBits]);
        }

        _used[pasid.Value >> LeafBits]++;
        Volatile.Write(ref leaf![pasid.Value & ((1 << LeafBits) - 1)], link);
    }

    /// <summary>Takes a link out; the domain's gate is held.</summary>
    public void Remove(Pasid pasid)
    {
        ref LinkRecord?[]? leaf = ref _leaves[pasid.Value >> LeafBits];
        Volatile.Write(ref leaf![pasid.Value & ((1 << LeafBits) - 1)], null);
        if (--_used[pasid.Value >> LeafBits] == 0)
        {
            _spare.Push(leaf);
            Volatile.Write(ref leaf, null);
        }
    }

    /// <summary>PASIDs of the links that a device uses; the domain's gate is held.</summary>
    public List<Pasid> Of(DeviceRecord device)
    {
        var found = new List<Pasid>();
        for (int i = 0; i < _leaves.Length; i++)
        {
            foreach (LinkRecord? link in _leaves[i] ?? [])
            {
                if (link is not null && link.Has(device))
                {
                    found.Add(link.Pasid);
                }
            }
        }

        return found;
    }

    private static int LeavesFor(int pasidBits) => ((1 << pasidBits) + (1 << LeafBits) - 1) >> LeafBits;
}
