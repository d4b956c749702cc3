// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <summary>
/// The links of a domain by PASID, in leaves of 1,024 that stay once they were used. Read without a lock.
/// </summary>
internal sealed class LinkTable(int pasidBits)
{
    private const int LeafBits = 10;
    private readonly LinkRecord?[]?[] _leaves = new LinkRecord?[]?[LeavesFor(pasidBits)];

    // Links in each leaf, so that a device's are found without a walk through all that were ever used.
    private readonly short[] _used = new short[LeavesFor(pasidBits)];

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

    /// <summary>Enters a link, or takes it out with null; the domain's gate is held.</summary>
    public void Set(Pasid pasid, LinkRecord? link)
    {
        _used[pasid.Value >> LeafBits] += (short)(link is null ? -1 : 1);
        ref LinkRecord?[]? leaf = ref _leaves[pasid.Value >> LeafBits];
        if (leaf is null)
        {
            Volatile.Write(ref leaf, new LinkRecord?[1 << LeafBits]);
        }

        Volatile.Write(ref leaf![pasid.Value & ((1 << LeafBits) - 1)], link);
    }

    /// <summary>PASIDs of the links that a device uses; the domain's gate is held.</summary>
    public List<Pasid> Of(DeviceRecord device)
    {
        var found = new List<Pasid>();
        for (int i = 0; i < _leaves.Length; i++)
        {
            if (_used[i] == 0)
            {
                continue;
            }

            foreach (LinkRecord? link in _leaves[i]!)
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
