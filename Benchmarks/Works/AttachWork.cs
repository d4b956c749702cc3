// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;

namespace PasidFramework.Benchmarks.Works;

/// <summary>Attach and detach without a core: entry and queue, as the driver puts them together.</summary>
internal readonly struct AttachWork : IWork<AttachWork>
{
    private readonly HeldLink[] _links;
    private readonly IndexRing _free;

    public AttachWork(UnitKind kind, int count)
    {
        var links = new LinkSet(kind, count);
        _links = links.Links;
        _free = links.Free;
    }

    public int Take()
    {
        int number = _free.Take();
        HeldLink link = _links[number];
        Units.Ok(link.Unit.Attach(link.Context, link.Device, first: true));
        return number;
    }

    public void Give(int item)
    {
        HeldLink link = _links[item];
        Units.Ok(link.Unit.Detach(link.Context, link.Device, last: true));
        _free.Put(item);
    }

    public AttachWork ForThread(int thread) => throw new NotSupportedException("A domain has one caller at a time.");
}
