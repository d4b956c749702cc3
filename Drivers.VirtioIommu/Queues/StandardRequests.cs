// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>The standard's requests: one domain of mappings for each endpoint, and no PASID anywhere. Each method
/// encodes one request, sends it and waits for its status.</summary>
internal sealed class StandardRequests(RequestQueue queue)
{
    /// <summary>Words of the longest standard request that fits a slot.</summary>
    public const int MaxWords = 5;

    public OpResult Attach(uint domain, uint endpoint, uint flags)
    {
        Span<ulong> words = stackalloc ulong[MaxWords];
        return queue.Send(EncodeAttach(words, domain, endpoint, flags), AttachRequest.DriverBytes)
            .ToResult("ATTACH", domain, "endpoint", endpoint);
    }

    /// <summary>Takes an endpoint out of its domain, whichever way it was attached.</summary>
    public OpResult Detach(uint domain, uint endpoint)
    {
        Span<ulong> words = stackalloc ulong[MaxWords];
        return queue.Send(EncodeDetach(words, domain, endpoint), DetachRequest.DriverBytes)
            .ToResult("DETACH", domain, "endpoint", endpoint);
    }

    /// <summary>Maps [start, last] to physical memory.</summary>
    public OpResult Map(uint domain, ulong start, ulong last, ulong physical, uint flags)
    {
        Span<ulong> words = stackalloc ulong[MaxWords];
        return queue.Send(EncodeMap(words, domain, start, last, physical, flags), MapRequest.DriverBytes)
            .ToResult("MAP", domain, "virt_start", start);
    }

    /// <summary>Removes every mapping in [start, last].</summary>
    public OpResult Unmap(uint domain, ulong start, ulong last)
    {
        Span<ulong> words = stackalloc ulong[MaxWords];
        return queue.Send(EncodeUnmap(words, domain, start, last), UnmapRequest.DriverBytes)
            .ToResult("UNMAP", domain, "virt_start", start);
    }

    public static Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, uint flags)
    {
        words = RequestHead.Begin(words, AttachRequest.Layout, RequestType.Attach);
        words.Set(RequestHead.Domain, domain);
        words.Set(RequestHead.Endpoint, endpoint);
        words.Set(AttachRequest.Flags, flags);
        return words;
    }

    public static Span<ulong> EncodeDetach(Span<ulong> words, uint domain, uint endpoint)
    {
        words = RequestHead.Begin(words, DetachRequest.Layout, RequestType.Detach);
        words.Set(RequestHead.Domain, domain);
        words.Set(RequestHead.Endpoint, endpoint);
        return words;
    }

    public static Span<ulong> EncodeMap(
        Span<ulong> words, uint domain, ulong start, ulong last, ulong physical, uint flags)
    {
        words = RequestHead.Begin(words, MapRequest.Layout, RequestType.Map);
        words.Set(RequestHead.Domain, domain);
        words.Set(MapRequest.VirtStart, start);
        words.Set(MapRequest.VirtEnd, last);
        words.Set(MapRequest.PhysStart, physical);
        words.Set(MapRequest.Flags, flags);
        return words;
    }

    public static Span<ulong> EncodeUnmap(Span<ulong> words, uint domain, ulong start, ulong last)
    {
        words = RequestHead.Begin(words, UnmapRequest.Layout, RequestType.Unmap);
        words.Set(RequestHead.Domain, domain);
        words.Set(MapRequest.VirtStart, start);
        words.Set(MapRequest.VirtEnd, last);
        return words;
    }

    public static Span<ulong> EncodeProbe(Span<ulong> words, uint endpoint)
    {
        words = RequestHead.Begin(words, ProbeRequest.Layout, RequestType.Probe);
        words.Set(ProbeRequest.Endpoint, endpoint);
        return words;
    }
}
