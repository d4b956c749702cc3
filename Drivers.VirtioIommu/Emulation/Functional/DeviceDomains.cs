// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

/// <summary>The domains of a device and the endpoints that are in them. Not safe for concurrent use.</summary>
internal sealed class DeviceDomains(
    HardwareOptions options, IDeviceMemory seen, AttachedStructures? arm, IDeviceWatcher? watcher)
{
    private readonly Dictionary<uint, DeviceDomain> _domains = [];
    private readonly Dictionary<uint, DeviceDomain> _endpoints = [];

    public int Count => _domains.Count;
    public DeviceDomain? Find(uint id) => _domains.GetValueOrDefault(id);
    public DeviceDomain? FindOf(uint endpoint) => _endpoints.GetValueOrDefault(endpoint);

    public void Clear()
    {
        _domains.Clear();
        _endpoints.Clear();
    }

    /// <summary>Puts an endpoint into a domain, which begins with its first endpoint.</summary>
    public RequestStatus Join(uint domainId, uint endpoint, bool bypass, DeviceTable? table)
    {
        if (!options.Exists(endpoint))
        {
            return RequestStatus.NoEnt;
        }

        if (_domains.TryGetValue(domainId, out DeviceDomain? domain))
        {
            if (domain.Table != table)
            {
                return RequestStatus.Unsupp;
            }

            if (domain.Bypass != bypass)
            {
                return RequestStatus.Inval;
            }

            if (_endpoints.TryGetValue(endpoint, out DeviceDomain? current) && ReferenceEquals(current, domain))
            {
                return RequestStatus.Ok;
            }
        }
        else
        {
            domain = new DeviceDomain
            {
                Id = domainId,
                Bypass = bypass,
                Table = table,
                View = watcher is null ? table?.Open(arm!.Reader, seen) : null,
            };
        }

        Leave(endpoint);
        _domains[domainId] = domain;
        _endpoints[endpoint] = domain;
        if (++domain.Endpoints == 1)
        {
            watcher?.Created(domain);
        }

        return RequestStatus.Ok;
    }

    public void Leave(uint endpoint)
    {
        if (!_endpoints.Remove(endpoint, out DeviceDomain? domain))
        {
            return;
        }

        if (--domain.Endpoints == 0)
        {
            _domains.Remove(domain.Id);
        }

        watcher?.Left(endpoint, domain);
    }
}
