// Says when somebody else changed what is being reviewed; the page is not replaced, so that nothing typed is lost.

const notice = document.getElementById("review-changed");

document.addEventListener("live:event", (event) => {
  if (event.detail.topic === notice.dataset.live) notice.hidden = false;
});
