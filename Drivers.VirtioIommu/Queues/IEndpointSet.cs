// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>The endpoints of a domain.</summary>
internal interface IEndpointSet
{
    bool Has(uint endpoint);
}
