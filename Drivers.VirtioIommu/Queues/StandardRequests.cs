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

    public static Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, uint flags) =>
        RequestHead.Encode(
            words, AttachRequest.Layout, RequestType.Attach,
            (RequestHead.Domain, domain), (RequestHead.Endpoint, endpoint), (AttachRequest.Flags, flags));

    public static Span<ulong> EncodeDetach(Span<ulong> words, uint domain, uint endpoint) => RequestHead.Encode(
        words, DetachRequest.Layout, RequestType.Detach,
        (RequestHead.Domain, domain), (RequestHead.Endpoint, endpoint));

    public static Span<ulong> EncodeMap(
        Span<ulong> words, uint domain, ulong start, ulong last, ulong physical, uint flags) => RequestHead.Encode(
        words, MapRequest.Layout, RequestType.Map,
        (RequestHead.Domain, domain), (MapRequest.VirtStart, start), (MapRequest.VirtEnd, last),
        (MapRequest.PhysStart, physical), (MapRequest.Flags, flags));

    public static Span<ulong> EncodeUnmap(Span<ulong> words, uint domain, ulong start, ulong last) =>
        RequestHead.Encode(
            words, UnmapRequest.Layout, RequestType.Unmap,
            (RequestHead.Domain, domain), (MapRequest.VirtStart, start), (MapRequest.VirtEnd, last));

    public static Span<ulong> EncodeProbe(Span<ulong> words, uint endpoint) => RequestHead.Encode(
        words, ProbeRequest.Layout, RequestType.Probe, (ProbeRequest.Endpoint, endpoint));
}
