// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>A process that may be reached.</summary>
/// <param name="IsBound">Whether it must be reached, as it is bound; otherwise it is reached or nothing is.</param>
internal sealed record Expected(TestProcess Process, bool IsBound);

/// <summary>Which process each device may reach with each PASID. A table belongs to a domain: what one of its devices
/// reaches, the others may reach too.</summary>
/// <param name="devices">The devices that are there now.</param>
internal sealed class Expectations(IReadOnlyList<BenchDevice> devices)
{
    private readonly Dictionary<(RequesterId Requester, uint Pasid), Expected> _links = [];

    public Expected? Find(RequesterId requester, uint pasid) => _links.GetValueOrDefault((requester, pasid));

    /// <summary>The pairs with which a process may be reached.</summary>
    public (RequesterId Requester, uint Pasid)[] LinksOf(TestProcess process) =>
        [.. _links.Where(link => link.Value.Process == process).Select(link => link.Key)];

    public void Added(BenchDevice device)
    {
        foreach (((RequesterId of, uint pasid), Expected expected) in _links.ToArray())
        {
            if (devices.Any(d => d.Requester == of && d.Domain == device.Domain))
            {
                _links.TryAdd((device.Requester, pasid), expected with { IsBound = false });
            }
        }
    }

    public void Removed(BenchDevice device)
    {
        foreach ((RequesterId Requester, uint Pasid) link in
            _links.Keys.Where(link => link.Requester == device.Requester).ToArray())
        {
            Unbound(device, link.Pasid);
            _links.Remove(link);
        }
    }

    public void Bound(BenchDevice device, uint pasid, TestProcess process)
    {
        foreach (BenchDevice sharing in devices.Where(d => d.Domain == device.Domain))
        {
            _links.TryAdd((sharing.Requester, pasid), new Expected(process, false));
        }

        _links[(device.Requester, pasid)] = new Expected(process, true);
    }

    public void Unbound(BenchDevice device, uint pasid)
    {
        if (Find(device.Requester, pasid) is not { } link)
        {
            return;
        }

        BenchDevice[] sharing = [.. devices.Where(d => d.Domain == device.Domain && d != device)];
        if (sharing.Any(d => Find(d.Requester, pasid) is { IsBound: true }))
        {
            _links[(device.Requester, pasid)] = link with { IsBound = false };
        }
        else
        {
            Forget(sharing.Append(device).Select(d => (d.Requester, pasid)));
        }
    }

    public void Forget(IEnumerable<(RequesterId Requester, uint Pasid)> links)
    {
        foreach ((RequesterId, uint) link in links)
        {
            _links.Remove(link);
        }
    }
}
