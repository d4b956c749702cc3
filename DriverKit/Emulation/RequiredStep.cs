// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Emulation;

/// <summary>One invalidation that a driver must do.</summary>
/// <typeparam name="TGroup">Invalidations that completed together.</typeparam>
/// <param name="Name">Its name, for messages.</param>
/// <param name="IsMet">Whether a group does it.</param>
/// <param name="SharesGroup">Whether the group that did it may do the next step as well: without order between them
/// otherwise, a step needs the one before it completed.</param>
public sealed record RequiredStep<TGroup>(string Name, Func<TGroup, bool> IsMet, bool SharesGroup = false);
