// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;

namespace PasidFramework.Benchmarks.Works;

/// <summary>
/// The queue alone: the invalidations that the kind's table asks for, once for a set and once for a clear, sent to the
/// unit's own domain on its functional model. Which they are is found out by running a table.
/// </summary>
internal readonly struct QueueWork : IWork<QueueWork>
{
    private const uint Tag = 1;
    private readonly IPasidTableSync _sync;
    private readonly Request[] _set;
    private readonly Request[] _clear;
    private readonly IndexRing _free;

    public QueueWork(UnitKind kind)
    {
        var recorder = new Recorder();
        using IPasidTable table = Units.Ok(Units.Format(kind).Create(new SystemMemory(), Pasid.MaxBits, recorder));

        // The first entry of a leaf asks for the path as well; what counts is every other one.
        Units.Ok(table.Set(new Pasid(1), new PasidTableEntry(0x1000, Tag)));
        recorder.Requests.Clear();
        Units.Ok(table.Set(new Pasid(2), new PasidTableEntry(0x1000, Tag)));
        _set = [.. recorder.Requests];
        recorder.Requests.Clear();
        Units.Ok(table.Clear(new Pasid(2)));
        _clear = [.. recorder.Requests];

        var links = new LinkSet(kind, 1);
        _sync = links.Links[0].Context.Domain.DriverState as IPasidTableSync
            ?? throw new InvalidOperationException($"{Units.NameOf(kind)}: a domain does not complete invalidations.");
        _free = new IndexRing(Numbers.Space);
        for (int pasid = 1; pasid < Numbers.Space; pasid++)
        {
            _free.Put(pasid);
        }
    }

    private enum Kind
    {
        Configuration,
        Translations,
        Removal,
    }

    public int Take()
    {
        int pasid = _free.Take();
        Send(_set, pasid);
        return pasid;
    }

    public void Give(int item)
    {
        Send(_clear, item);
        _free.Put(item);
    }

    public QueueWork ForThread(int thread) => throw new NotSupportedException("A domain has one caller at a time.");

    private void Send(Request[] requests, int number)
    {
        var pasid = new Pasid((uint)number);
        foreach (Request request in requests)
        {
            Units.Ok(request.Kind switch
            {
                Kind.Configuration => _sync.ConfigurationChanged(pasid, request.LeafOnly),
                Kind.Translations => _sync.TranslationsChanged(pasid, Tag),
                _ => _sync.EntryRemoved(pasid, Tag),
            });
        }
    }

    private readonly record struct Request(Kind Kind, bool LeafOnly);

    private sealed class Recorder : IPasidTableSync
    {
        public List<Request> Requests { get; } = [];
        public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly) => Note(new(Kind.Configuration, leafOnly));
        public OpResult TranslationsChanged(Pasid pasid, uint archId) => Note(new(Kind.Translations, false));
        public OpResult EntryRemoved(Pasid pasid, uint archId) => Note(new(Kind.Removal, false));

        private OpResult Note(Request request)
        {
            Requests.Add(request);
            return OpResult.Ok;
        }
    }
}
