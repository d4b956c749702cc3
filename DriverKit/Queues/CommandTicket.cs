// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Queues;

/// <summary>What a submission to a <see cref="CommandRing"/> is waited for by; the default is that of a new
/// one.</summary>
/// <param name="Owner">Number by which the driver's ring knows the submission; 0 before anything was written.</param>
/// <param name="Last">Position of the last command written, counted from the ring's first.</param>
public readonly record struct CommandTicket(long Owner, long Last);
