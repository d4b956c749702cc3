// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.VirtioIommu.Queues;

internal interface IEndpointSet
{
    bool Has(uint endpoint);
}
