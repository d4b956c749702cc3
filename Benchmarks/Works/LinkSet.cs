// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Works;

/// <summary>Links of processes to a domain of a real unit that does not know of them yet.</summary>
internal sealed class LinkSet
{
    private const int Spare = 64;

    /// <summary>Makes so many links, and some to spare.</summary>
    public LinkSet(UnitKind kind, int count)
    {
        List<HeldLink> links = [];
        var work = new BindWork(new BindSystemSetup
        {
            Kind = kind,
            Bindings = count + Spare,
            Wrap = unit => new HeldBackUnit(unit, links),
        });
        Free = new IndexRing(count + Spare);
        for (int i = 0; i < count + Spare; i++)
        {
            _ = work.Take();
            Free.Put(i);
        }

        Links = [.. links];
    }

    public HeldLink[] Links { get; }

    /// <summary>Links that are not attached, by index.</summary>
    public IndexRing Free { get; }
}
